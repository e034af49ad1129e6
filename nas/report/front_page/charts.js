// Charts: Dice against each cost, choices as parallel coordinates, effects, learning curves.
const COLOURS = {
  front: "#0072b2", chosen: "#d55e00", other: "#9aa5b1", faint: "#d3d9df", named: "#007a5a",
  ink: "#1f2933", soft: "#52606d", grid: "#e8ecf0",
};
const FONT = {family: "-apple-system, Segoe UI, Roboto, Helvetica Neue, Arial, sans-serif",
  size: 12, color: COLOURS.soft};
const CONFIG = {responsive: true, displayModeBar: false};
const AXIS = {gridcolor: COLOURS.grid, linecolor: "#c3cad2", zeroline: false, ticks: "outside",
  tickcolor: "#c3cad2", ticklen: 4, tickfont: {size: 11}, fixedrange: true};

const SYMBOLS = {baseline: "square-open", compressed: "star-open"};
const HALO = "0 0 2px white, 0 0 3px white, 0 0 4px white";

// Plotly reads some HTML in texts; names of classes and options are none.
function escaped(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;");
}

function layout(changes) {
  return {font: FONT, margin: {l: 52, r: 14, t: 10, b: 44}, hovermode: "closest", dragmode: false,
    showlegend: false, paper_bgcolor: "white", plot_bgcolor: "white",
    hoverlabel: {align: "left", bgcolor: "white", bordercolor: "#9aa5b1",
      font: {color: COLOURS.ink, family: FONT.family}}, ...changes};
}

// About five round numbers within a range.
function roundNumbers([low, high]) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((times) => times * power >= rough);
  const first = Math.ceil(low / step);
  return Array.from({length: Math.floor(high / step) - first + 1}, (_, i) => (first + i) * step);
}

// Powers of ten within a range of logarithms, with twice and five times each where they are few.
function roundPowers([low, high]) {
  const steps = high - low > 2.2 ? [1] : [1, 2, 5];
  const powers = Array.from({length: Math.ceil(high - low) + 1}, (_, i) => Math.floor(low) + i);
  return powers.flatMap((power) => steps.map((step) => step * 10 ** power))
    .filter((tick) => Math.log10(tick) >= low && Math.log10(tick) <= high);
}

// An axis of known values: by the logarithm where that helps, with round numbers on it.
function scale(name, numbers) {
  const title = {text: TITLES[name], font: {size: 12}, standoff: 8};
  if (!numbers.length) return {...AXIS, title};
  const log = name !== "dice" && spansDecades(numbers);
  const ends = [Math.min(...numbers), Math.max(...numbers)];
  const [low, high] = log ? ends.map(Math.log10) : ends;
  const pad = (high - low || Math.abs(high) * 0.1 || 1) * 0.08;
  const range = [low - pad, high + pad];
  if (name === "dice") return {...AXIS, title, range, nticks: 6};
  const tickvals = log ? roundPowers(range) : roundNumbers(range);
  return {...AXIS, title, type: log ? "log" : "linear", range, tickvals,
    ticktext: tickvals.map((tick) => shown(name, tick))};
}

function hoverText(network) {
  const costs = data.costs.map((cost) => `${TITLES[cost]} ${shown(cost, network.costs[cost])}`);
  const name = network.name ? ` (${escaped(network.name.text)})` : "";
  const dice = {
    complete: `Dice ${shown("dice", network.dice)}`,
    stopped: `stopped after ${counted(network.epochs, "epoch")} at Dice ${shown("dice", lastDice(network))}`,
    infeasible: `rejected: ${escaped(network.reason ?? "")}`.slice(0, 90),
  }[network.state] ?? `Dice ${shown("dice", network.dice)}`;
  return `<b>${escaped(network.key)}</b>${name}<br>${dice}<br>${costs.join("<br>")}`;
}

// The lowest Dice that a picture shows: far outliers would squeeze all others together.
function lowest(dice) {
  const sorted = [...dice].sort((a, b) => a - b);
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  return Math.max(sorted[0], at(0.25) - 1.5 * (at(0.75) - at(0.25)));
}

function dots(networks, x, y, marker, changes = {}) {
  return {type: "scatter", mode: "markers", x: networks.map(x), y: networks.map(y), marker,
    customdata: networks.map((network) => network.key), text: networks.map(hoverText),
    hoverinfo: "text", ...changes};
}

// The best Dice that a member reaches within each cost.
function staircase(members, cost) {
  const steps = [];
  const known = members.filter((m) => m.costs[cost] !== null);
  known.sort((a, b) => a.costs[cost] - b.costs[cost] || b.dice - a.dice);
  for (const member of known) {
    if (!steps.length || member.dice > steps[steps.length - 1].dice) steps.push(member);
  }
  return {type: "scatter", mode: "lines", hoverinfo: "skip", x: steps.map((s) => s.costs[cost]),
    y: steps.map((s) => s.dice), line: {color: COLOURS.front, width: 1.5, shape: "hv"}};
}

function drawPlane(where, cost, state) {
  const x = (network) => network.costs[cost];
  const known = data.networks.filter((network) => x(network) !== null);
  const dice = [...trained, ...beside].map((n) => n.dice).filter((d) => d !== null);
  const yaxis = scale("dice", dice.length ? [lowest(dice), ...dice.filter((d) => d > lowest(dice))]
    : [0, 1]);
  const [bottom, top] = yaxis.range;
  yaxis.range = [bottom - 0.09 * (top - bottom), top];
  const strip = (share) => bottom - share * (top - bottom);
  const has = (kind) => known.filter((network) => network.state === kind);
  const reached = (network) => (network.state === "stopped" ? lastDice(network) : network.dice);
  const low = (network) => !(reached(network) >= bottom);
  const y = (network) => (low(network) ? strip(0.015) : reached(network));
  const shapes = (networks) => networks.map((n) => (low(n) ? "triangle-down" : "circle"));
  const stopped = has("stopped"), rejected = has("infeasible");
  const complete = has("complete").filter((n) => n.dice !== null);
  const members = new Set(state.members);
  const inside = (n) => within(n, state.budgets);
  const besides = beside.filter((network) => known.includes(network));
  const named = [...complete.filter((network) => network.name), ...besides];
  const hollow = {color: "white", size: 7, line: {color: COLOURS.other, width: 1.2}};
  const ring = (key, colour) => dots(known.filter((n) => n.key === key),
    (n) => where.places.get(n.key)?.[0], (n) => where.places.get(n.key)?.[1],
    {symbol: "circle-open", size: 19, color: colour, line: {width: 2.5}},
    {hoverinfo: "skip", cliponaxis: false});
  const solid = (networks, marker) => dots(networks, x, y, {...marker, symbol: shapes(networks)});
  where.places = new Map([...stopped, ...complete, ...besides].map((n) => [n.key, [x(n), y(n)]]));
  for (const n of rejected) where.places.set(n.key, [x(n), strip(0.06)]);
  const traces = [
    dots(rejected, x, () => strip(0.06),
      {symbol: "line-ns", size: 8, line: {color: COLOURS.other, width: 1.4}}),
    solid(stopped, hollow),
    solid(complete.filter((n) => !inside(n)), {color: COLOURS.faint, size: 7}),
    solid(complete.filter((n) => inside(n) && !members.has(n)), {color: COLOURS.other, size: 8}),
    staircase(state.members, cost),
    solid(complete.filter((n) => members.has(n)),
      {color: COLOURS.front, size: 11, line: {color: "white", width: 1.5}}),
    dots(named, x, y, {symbol: named.map((n) => SYMBOLS[n.name.kind] ?? "diamond-open"),
      size: 15, color: COLOURS.named, line: {width: 1.6}},
    {mode: "markers+text", texttemplate: named.map((n) => escaped(n.name.text)),
      textposition: "top center", textfont: {size: 11, color: COLOURS.named, shadow: HALO}, cliponaxis: false}),
    ring(state.chosen, COLOURS.chosen),
    ring(null, COLOURS.ink),
  ];
  const line = {color: COLOURS.chosen, width: 1.2, dash: "dash"};
  const limits = [];
  if (state.budgets[cost] !== null) limits.push({type: "line", line, yref: "paper", y0: 0, y1: 1,
    x0: state.budgets[cost], x1: state.budgets[cost]});
  if (state.budgets.dice !== null) limits.push({type: "line", line, xref: "paper", x0: 0, x1: 1,
    y0: state.budgets.dice, y1: state.budgets.dice});
  Plotly.react(where, traces, layout({
    xaxis: scale(cost, known.map(x)), yaxis, shapes: limits}), CONFIG);
}

// A ring, the last trace, around the network of that key.
function point(where, key) {
  const [x, y] = where.places.get(key) ?? [];
  Plotly.restyle(where, {x: [x === undefined ? [] : [x]], y: [y === undefined ? [] : [y]]},
    [where.data.length - 1]);
}

// Where on its axis a network stands, from 0 to 1.
function axes() {
  const choices = data.knobs.map((knob, place) => {
    const always = trained.every((network) => network.knobs[place] >= 0);
    const labels = always ? knob.options : ["–", ...knob.options];
    const at = (index) => (labels.length > 1 ? index / (labels.length - 1) : 0.5);
    return {title: escaped(knob.name).replace(/\.(?!\d)/g, "<br>"), spread: 0.13 / labels.length,
      ticks: labels.map((label, index) => [at(index), escaped(label)]),
      place: (network) => at(network.knobs[place] + (always ? 0 : 1))};
  });
  const numeric = ["dice", ...data.costs].map((name) => {
    const known = trained.map((n) => value(n, name)).filter((v) => v !== null);
    const log = name !== "dice" && spansDecades(known) ? Math.log : (v) => v;
    const [low, high] = [Math.min(...known), Math.max(...known)];
    const place = (network) => {
      const v = value(network, name);
      return v === null ? null : high > low ? (log(v) - log(low)) / (log(high) - log(low)) : 0.5;
    };
    const short = (v) => (name === "dice" ? v.toFixed(3) : shown(name, v));
    const ends = high > low ? [[0, short(low)], [1, short(high)]] : [[0.5, short(low)]];
    return {title: TITLES[name].replace(" ", "<br>"), spread: 0, ticks: ends, place};
  });
  return trained.length ? [...numeric, ...choices] : [];
}

function lines(networks, all, line, opacity = 1) {
  const trace = {type: "scatter", mode: "lines", x: [], y: [], customdata: [], line, opacity,
    hoverinfo: "none", connectgaps: false};
  for (const network of networks) {
    const shift = ((network.number * 0.618) % 1) * 2 - 1;
    all.forEach((axis, place) => {
      const y = axis.place(network);
      trace.x.push(place);
      trace.y.push(y === null ? null : y + shift * axis.spread);
      trace.customdata.push(network.key);
    });
    trace.x.push(null);
    trace.y.push(null);
    trace.customdata.push(null);
  }
  return trace;
}

function drawChoices(where, state) {
  const all = axes();
  if (!all.length) return;
  where.style.minWidth = `${all.length * 80 + 60}px`;
  const members = new Set(state.members);
  const others = trained.filter((network) => !members.has(network));
  const chosen = trained.filter((network) => network.key === state.chosen);
  const texts = all.flatMap((axis, place) => [
    {x: place, y: 1.07, text: axis.title, yanchor: "bottom", showarrow: false,
      font: {size: 11, color: COLOURS.soft}, align: "center"},
    ...axis.ticks.map(([y, text]) => ({x: place, y, text, showarrow: false, xanchor: "left",
      xshift: 4, font: {size: 11, color: COLOURS.ink}, bgcolor: "rgba(255,255,255,0.8)",
      borderpad: 1})),
  ]);
  Plotly.react(where, [
    lines(others, all, {color: COLOURS.other, width: 1}, 0.45),
    lines(state.members, all, {color: COLOURS.front, width: 1.8}),
    lines(chosen, all, {color: COLOURS.chosen, width: 3}),
  ], layout({margin: {l: 20, r: 60, t: 4, b: 16}, annotations: texts,
    xaxis: {visible: false, range: [-0.15, all.length - 0.6], fixedrange: true},
    yaxis: {visible: false, range: [-0.08, 1.32], fixedrange: true},
    shapes: all.map((_, place) => ({type: "line", x0: place, x1: place, y0: 0, y1: 1,
      layer: "below", line: {color: "#c3cad2", width: 1}}))}), CONFIG);
}

// What the networks with each option of a knob came to, and the median.
function drawEffect(where, knob, objective, state) {
  const place = data.knobs.findIndex((one) => one.name === knob);
  const options = data.knobs[place].options;
  const known = trained.filter((n) => value(n, objective) !== null);
  const labels = known.every((n) => n.knobs[place] >= 0) ? options : [...options, "–"];
  const at = (n) => (n.knobs[place] < 0 ? options.length : n.knobs[place]);
  const x = (n) => at(n) + (((n.number * 0.618) % 1) - 0.5) * 0.3;
  const members = new Set(state.members);
  const middles = labels.flatMap((_, index) => {
    const values = known.filter((n) => at(n) === index).map((n) => value(n, objective));
    return values.length ? [{x0: index - 0.28, x1: index + 0.28, y: median(values)}] : [];
  });
  const dot = (of, colour) => dots(of, x, (n) => value(n, objective), {color: colour, size: 7});
  Plotly.react(where, [
    dot(known.filter((n) => !members.has(n)), COLOURS.other),
    dot(known.filter((n) => members.has(n)), COLOURS.front),
    {type: "scatter", mode: "lines", hoverinfo: "skip", line: {color: COLOURS.ink, width: 2},
      x: middles.flatMap((m) => [m.x0, m.x1, null]), y: middles.flatMap((m) => [m.y, m.y, null])},
  ], layout({margin: {l: 60, r: 10, t: 10, b: 44}, xaxis: {...AXIS, title: {text: escaped(knob), font: {size: 12}},
    showgrid: false, tickvals: labels.map((_, i) => i), ticktext: labels.map(escaped),
    range: [-0.5, labels.length - 0.5]},
  yaxis: scale(objective, known.map((n) => value(n, objective)))}), CONFIG);
}

function drawCurve(where, network) {
  const numbers = network.curve.map((_, place) => place + 1);
  const unit = network.curve.length === network.epochs ? "epoch" : "validation";
  Plotly.react(where, [{type: "scatter", mode: "lines+markers", x: numbers, y: network.curve,
    line: {color: COLOURS.front, width: 2}, marker: {size: 4},
    hovertemplate: `${unit} %{x}: %{y:.4f}<extra></extra>`}],
  layout({margin: {l: 40, r: 6, t: 6, b: 34}, xaxis: {...AXIS, title: {text: unit, font: {size: 12}}, nticks: 6,
    range: [0.5, numbers.length + 0.5], tickformat: "d"}, yaxis: {...AXIS, nticks: 6}}), CONFIG);
}
