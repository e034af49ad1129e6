// A network from afar: its encoder on the left, its decoder on the right, a row for a resolution.
function picture(stages) {
  const divisors = [...new Set(stages.map((stage) => stage.divisor))].sort((a, b) => a - b);
  const rows = divisors.map((divisor) => {
    const here = stages.filter((stage) => stage.divisor === divisor);
    const skip = here.map((stage) => stage.skip).find(Boolean);
    const crossed = skip && here.some((stage) => stage.side === "down");
    return [
      element("span", {}, resolution(here[0])),
      column("down", stages, divisor),
      crossed ? element("div", {class: "skip"}, skip) : element("div"),
      column("up", stages, divisor),
    ];
  });
  const text = stages.map(stageText).join("; ");
  return element("div", {class: "picture", role: "img", "aria-label": text}, ...rows.flat());
}

// The stages of a side at one resolution, an arrow between them and to what is deeper. Where only
// the other side goes as deep, the way turns.
function column(side, stages, divisor) {
  const own = stages.filter((stage) => stage.side === side);
  const here = own.filter((stage) => stage.divisor === divisor).map(stageBox);
  if (side === "up") here.reverse();
  const begun = own.some((stage) => stage.divisor <= divisor);
  const deeper = (side === "up" ? stages : own).some((stage) => stage.divisor > divisor);
  if (begun && !deeper && !here.length) {
    return element("div", {class: side === "up" ? "turn" : null});
  }
  const arrow = () => element("i", {class: `arrow ${side}`});
  const parts = here.flatMap((box, place) => (place ? [arrow(), box] : [box]));
  return element("div", {class: "side"}, ...parts, begun && deeper ? arrow() : null);
}

function stageBox(stage) {
  return element("div", {class: "stage"}, element("b", {}, `${stage.channels} channels`),
    ...stage.holds.map((words) => element("span", {}, words)),
    element("div", {}, ...stage.layers.map(layerGlyph)));
}

// A transformer layer: its token mixer above its MLP, hollow where it was left out.
function layerGlyph(gate) {
  return element("i", {class: `layer ${gate}`}, element("i"), element("i"));
}

// "1/4"; "1/4 × 1/4 × 1" where the network does not halve all axes alike.
function resolution(stage) {
  const sides = stage.divisors.length ? stage.divisors : [stage.divisor];
  const told = new Set(sides).size > 1 ? sides : [sides[0]];
  return told.map((side) => (side === 1 ? "1" : `1/${side}`)).join(" × ");
}

function stageText(stage) {
  return `${stage.name} at ${resolution(stage)}: ${stage.channels} channels, `
    + [...stage.holds, stage.layers.length ? `layers ${stage.layers.join(", ")}` : ""]
      .filter(Boolean).join(", ");
}
