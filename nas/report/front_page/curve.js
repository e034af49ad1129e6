// The learning curve in the card.
function drawCurve(where, network) {
  const numbers = network.curve.map((dice, place) => [place + 1, dice]).filter(([, dice]) => dice !== null);
  const unit = network.curve.length === network.epochs ? "epoch" : "validation";
  where.setAttribute("role", "img");
  where.setAttribute("aria-label", `Validation Dice by ${unit}: `
    + `${numbers.map(([place, dice]) => `${place}: ${dice.toFixed(3)}`).join(", ")}`);
  const plot = new Plot(where, "", {choose: () => {}, point: () => {}, describe: () => []});
  plot.list.remove();  // it is a picture, with nothing to choose
  const last = network.curve.length;
  const ticks = roundNumbers([1, Math.max(2, last)], 6).filter((tick) => tick >= 1 && Number.isInteger(tick));
  plot.draw({
    x: {title: unit, words: unit, range: [0.5, last + 0.5], to: (place) => (place - 0.5) / last,
      ticks: ticks.map((tick) => ({at: tick, text: String(tick)}))},
    y: scale("dice", numbers.map(([, dice]) => dice)), groups: [],
    steps: [{points: numbers, colour: palette.front, width: 2}],
  });
}
