// What a network is coloured by: the front, one of its results, or one of its choices.

// null for the front. `of`: gives the colour of a network; `entries`: options with theirs, or
// `ends`: the worst and the best of a range.
function colouring(by) {
  if (by === "front") return null;
  const knob = data.knobs.findIndex(({name}) => `knob ${name}` === by);
  return knob < 0 ? byResult(by) : byKnob(knob);
}

function byResult(name) {
  const known = trained.map((network) => value(network, name)).filter((one) => one !== null);
  if (!known.length) return null;
  const best = data.formats[name].maximised;
  const floor = best ? lowest(known) : -Infinity;
  const {to} = scale(name, known.map((one) => Math.max(one, floor)));
  const [first, last] = [Math.max(Math.min(...known), floor), Math.max(...known)];
  const [low, high] = [to(first), to(last)];
  const share = (one) => (high > low ? (to(Math.max(one, floor)) - low) / (high - low) : 1);
  const of = (network) => {
    const one = value(network, name);
    return one === null ? palette.other : ramp(best ? share(one) : 1 - share(one));
  };
  const rank = (network) => share(value(network, name) ?? first);
  const ends = (best ? [first, last] : [last, first]).map((one) => shown(name, one));
  return {title: titleOf(name), of, rank, ends};
}

function byKnob(place) {
  const {name, options} = data.knobs[place];
  const ordered = options.every((option) => !Number.isNaN(Number(option)));
  const colour = (i) => (options.length > palette.set.length || (ordered && options.length > 2)
    ? ramp(options.length > 1 ? i / (options.length - 1) : 1) : palette.set[i]);
  const of = (network) => {
    const i = network.knobs[place] ?? -1;
    return i < 0 ? palette.other : colour(i);
  };
  const some = trained.some((network) => network.knobs[place] < 0);
  const entries = [...options.map((option, i) => [option, colour(i)]),
    ...(some ? [["not asked for", palette.other]] : [])];
  return {title: name, of, rank: (network) => network.knobs[place], entries};
}

function colourLegend(colours) {
  if (!colours) return [];
  const swatch = (colour, text) => {
    const box = element("i", {class: "swatch", "aria-hidden": "true"});
    box.style.background = colour;
    return element("li", {}, box, text);
  };
  if (colours.entries) return colours.entries.map(([text, colour]) => swatch(colour, text));
  const bar = element("i", {class: "swatch ramp", "aria-hidden": "true"});
  bar.style.background = `linear-gradient(90deg, ${[0, 0.25, 0.5, 0.75, 1].map(ramp).join(",")})`;
  return [element("li", {}, `worst ${colours.ends[0]}`, bar, `best ${colours.ends[1]}`)];
}

// The choices of what to colour by.
function colourOptions() {
  const option = (by, text) => element("option", {value: by}, text);
  return [option("front", "the front"),
    element("optgroup", {label: "Results"}, ...["dice", ...data.costs].map((name) => option(name, titleOf(name)))),
    ...(data.knobs.length ? [element("optgroup", {label: "Choices"},
      ...data.knobs.map(({name}) => option(`knob ${name}`, name)))] : [])];
}
