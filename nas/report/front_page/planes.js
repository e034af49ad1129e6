// Dice against each cost, and what the options of a knob came to.
const LOOKS = {
  front: () => ({mark: "dot", size: trained.length > 400 ? 4.6 : 6, fill: palette.front, halo: palette.paper, width: 1.5, front: true}),
  other: () => ({mark: "dot", size: trained.length > 400 ? 3 : 4, fill: palette.other}),
  spent: () => ({mark: "dot", size: trained.length > 400 ? 2.6 : 3.5, fill: palette.spent}),
  stopped: () => ({mark: "dot", size: 3.3, fill: palette.paper, line: palette.other, width: 1.3}),
  lower: () => ({mark: "down", size: 4.4, fill: palette.other}),
  lowerStopped: () => ({mark: "down", size: 4.2, fill: palette.paper, line: palette.other}),
  rejected: () => ({mark: "tick", size: 5, line: palette.other, width: 1.4}),
  named: () => ({mark: "diamond", size: 8, line: palette.named, width: 1.8}),
  baseline: () => ({mark: "square", size: 6, line: palette.named, width: 2, fill: palette.paper}),
  compressed: () => ({mark: "star", size: 8, line: palette.named, width: 1.8, fill: palette.paper}),
  untrained: () => ({mark: "diamond", size: 4.5, line: palette.named, width: 1.4}),
  untrainedBaseline: () => ({mark: "square", size: 4, line: palette.named, width: 1.4}),
};

// Dice from the lowest that the pictures show.
function diceScale() {
  const dice = [...trained, ...beside].map((network) => network.dice).filter((one) => one !== null);
  const floor = dice.length ? lowest(dice) : 0;
  const stopped = data.networks.filter(({state}) => state === "stopped").map(lastDice);
  return scale("dice", dice.length ? [floor, ...[...dice, ...stopped].filter((one) => one > floor)] : [0, 1]);
}

const reached = (network) => (network.state === "stopped" ? lastDice(network) : network.dice);
const isBelow = (network, {range}) => reached(network) === null || reached(network) < range[0];

function drawPlane(plot, cost, state) {
  const x = (network) => value(network, cost);
  const known = data.networks.filter((network) => x(network) !== null);
  const y = diceScale();
  const low = (network) => isBelow(network, y);
  const of = (...kinds) => known.filter((network) => kinds.includes(network.state));
  const found = of("complete", "stopped", ...BESIDE);  // others may be far larger
  const [stopped, rejected, presets] = [of("stopped"), of("infeasible"), of("untrained")];
  const complete = of("complete").filter((network) => network.dice !== null);
  const besides = of(...BESIDE).filter((network) => network.dice !== null);
  const members = new Set(state.members);
  const inside = complete.filter((network) => !members.has(network) && within(network, state.budgets));
  const outside = complete.filter((network) => !members.has(network) && !within(network, state.budgets));
  const called = complete.filter((network) => network.name);
  const place = (network) => [x(network), reached(network)];
  const colours = state.colours;
  const group = (look, networks) => [true, false].map((bright) => ({look: {...look,
    ...(colours && look.fill && !["square", "star"].includes(look.mark) && look.fill !== palette.paper ? {fill: colours.of} : {}),
    ...(bright ? {} : {alpha: 0.16})},
  networks: networks.filter((network) => !low(network) && state.lit(network) === bright), at: place})).reverse();
  const lane = (name, ...kinds) => ({name, kinds: kinds.map(([look, networks]) => ({look, networks}))});
  const lanes = [
    state.lanes.lower && lane("lower", [LOOKS.lowerStopped(), stopped.filter(low)],
      [LOOKS.lower(), [...complete, ...besides].filter(low)]),
    state.lanes.rejected && lane("infeasible", [LOOKS.rejected(), rejected]),
    state.lanes.untrained && lane("untrained",
      [LOOKS.untrained(), presets.filter((network) => network.name.kind !== "baseline")],
      [LOOKS.untrainedBaseline(), presets.filter((network) => network.name.kind === "baseline")]),
  ].filter(Boolean);
  plot.draw({
    x: scale(cost, (found.length ? found : known).map(x)), y, lanes: lanes.map((one) => ({...one, at: x})),
    steps: [{points: staircase(state.members, cost), colour: palette.front, stairs: true}],
    rules: {x: state.budgets[cost], y: state.budgets.dice},
    groups: [...group(LOOKS.stopped(), stopped), ...group(LOOKS.spent(), outside),
      ...group(LOOKS.other(), inside), ...group(LOOKS.front(), state.members.filter((one) => known.includes(one))),
      ...group(LOOKS.named(), called.filter((network) => network.name.kind !== "baseline")),
      ...group({...LOOKS.baseline(), fill: undefined}, called.filter((network) => network.name.kind === "baseline")),
      ...group(LOOKS.baseline(), besides.filter((network) => network.state === "baseline")),
      ...group(LOOKS.compressed(), besides.filter((network) => network.state === "compressed"))],
    named: [...besides, ...called, ...presets].map((network) => ({network, text: network.name.text})),
  });
}

// What the networks with each option of a knob came to, and the median.
function drawEffect(plot, knob, objective, state) {
  const place = data.knobs.findIndex(({name}) => name === knob);
  const {options} = data.knobs[place];
  const known = trained.filter((network) => value(network, objective) !== null);
  const labels = known.every((network) => network.knobs[place] >= 0) ? options : [...options, "–"];
  const option = (network) => (network.knobs[place] < 0 ? options.length : network.knobs[place]);
  const spread = (network) => ((network.number * 0.618) % 1 - 0.5) * 0.5;
  const at = (network) => [option(network) + spread(network), value(network, objective)];
  const members = new Set(state.members);
  const medians = labels.flatMap((_, i) => {
    const values = known.filter((network) => option(network) === i).map((network) => value(network, objective));
    return values.length ? [{points: [[i - 0.34, median(values)], [i + 0.34, median(values)]],
      colour: palette.ink, width: 2.4}] : [];
  });
  plot.draw({x: optionScale(knob, labels), y: scale(objective, known.map((network) => value(network, objective))),
    groups: [
      {look: {...LOOKS.other(), alpha: 0.75}, networks: known.filter((network) => !members.has(network)), at},
      {look: {...LOOKS.front(), size: 4.5}, networks: known.filter((network) => members.has(network)), at},
    ], steps: medians});
}

function drawLegend(where, state) {
  const has = (...kinds) => data.networks.some((network) => kinds.includes(network.state));
  const named = (...kinds) => trained.some((network) => network.name && kinds.includes(network.name.kind));
  const bare = (kind) => untrained.some((network) => (network.name.kind === "baseline") === kind);
  const {colours} = state;
  const entries = [
    [!colours, LOOKS.front(), "front"],
    [!colours && trained.length > 0, LOOKS.other(), "trained, not on the front"],
    [colours, {...LOOKS.front(), fill: palette.soft}, "large: front"],
    [has("stopped"), LOOKS.stopped(), "stopped early: not comparable"],
    [named("preset", "start"), LOOKS.named(), "preset or warm start"],
    [has("baseline") || named("baseline"), LOOKS.baseline(), "baseline, trained"],
    [has("compressed"), LOOKS.compressed(), "made smaller after the search"],
    [state.lanes.lower, LOOKS.lower(), "lower than the picture"],
    [state.lanes.rejected, LOOKS.rejected(), "infeasible"],
    [bare(false), LOOKS.untrained(), "preset, not trained"],
    [bare(true), LOOKS.untrainedBaseline(), "baseline, not trained"],
  ];
  where.replaceChildren(...entries.filter(([there]) => there)
    .map(([, look, text]) => legendEntry(look, text)), ...colourLegend(colours));
}

// The rows below the planes that this search needs.
function lanesOf() {
  const y = diceScale();
  const shown = data.networks.filter((network) => ["complete", "stopped", ...BESIDE].includes(network.state));
  return {lower: shown.some((network) => isBelow(network, y)),
    rejected: data.networks.some((network) => network.state === "infeasible"
      && data.costs.some((cost) => value(network, cost) !== null)),
    untrained: untrained.length > 0};
}
