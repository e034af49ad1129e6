// Budgets, the legend, the importance of knobs, and the table of networks.
function counted(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

// A slider steps from network to network; its end, where all will do, is null.
function slider(name, changed) {
  const known = trained.map((n) => value(n, name)).filter((v) => v !== null);
  const values = [...new Set(known)].sort((a, b) => (name === "dice" ? b - a : a - b));
  const end = values.length - 1;
  const output = element("output");
  const input = element("input", {type: "range", min: 0, max: end, step: 1, value: end,
    name, "aria-label": `${TITLES[name]} at ${name === "dice" ? "least" : "most"}`,
    input: () => show(true)});
  const limit = () => (Number(input.value) === end ? null : values[Number(input.value)]);
  const text = () => (limit() === null ? "any"
    : `${name === "dice" ? "≥" : "≤"} ${shown(name, limit())}`);
  function show(byHand) {
    output.textContent = text();
    input.setAttribute("aria-valuetext", text());
    if (byHand) changed();
  }
  show(false);
  const row = element("label", {}, output, TITLES[name], input);
  return {name, row, limit, usable: values.length > 1,
    reset: () => { input.value = end; show(false); }};
}

function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, given] of Object.entries(attributes)) made.setAttribute(name, given);
  made.append(...children);
  return made;
}

function legend(where) {
  const has = (kind) => data.networks.some((n) => n.state === kind);
  const sign = (...parts) => svg("svg", {viewBox: "0 0 14 14", "aria-hidden": "true"}, ...parts);
  const disc = (fill, stroke) => svg("circle", {cx: 7, cy: 7, r: 4.5, fill, stroke});
  const named = (kinds) => trained.some((n) => n.name && kinds.includes(n.name.kind));
  const outline = {fill: "none", stroke: COLOURS.named, "stroke-width": 1.6};
  const reached = data.networks.map((n) => n.dice ?? lastDice(n)).filter((dice) => dice !== null);
  const floor = lowest(trained.map((n) => n.dice).filter((dice) => dice !== null));
  const entries = [
    [true, disc(COLOURS.front, "none"), "front"],
    [true, disc(COLOURS.other, "none"), "other trained networks"],
    [has("stopped"), disc("white", COLOURS.other), "stopped early: not comparable"],
    [has("infeasible"), svg("path", {d: "M7 2 V12", stroke: COLOURS.other, "stroke-width": 1.6}),
      "rejected"],
    [reached.some((dice) => dice < floor), svg("path", {d: "M3 4 H11 L7 11 Z", fill: COLOURS.other}), "lower than the picture"],
    [named(["preset", "start"]), svg("path", {d: "M7 1 L13 7 L7 13 L1 7 Z", ...outline}),
      "preset or warm start"],
    [named(["baseline"]), svg("rect", {x: 2, y: 2, width: 10, height: 10, ...outline}), "baseline"],
  ];
  where.append(...entries.filter(([there]) => there).map(([, shape, text]) =>
    element("li", {}, sign(shape), text)));
}

function fillTable(table, head, rows) {
  table.replaceChildren(element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...rows));
}

// Returns the first knob of the table, or null where there is none.
function drawImportance(table, choose) {
  const {objectives, rows} = data.importances;
  if (!rows.length) return null;
  const cell = ({share, noise}) => element("td", {class: noise ? "share noise" : "share"},
    element("div", {}, track(share), element("span", {}, `${Math.round(100 * share)} %`)));
  const head = ["Knob", ...objectives.map((name) => TITLES[name])];
  fillTable(table, head.map((title) => element("th", {}, title)),
    rows.map(({knob, cells}) => element("tr", {"data-knob": knob},
      element("td", {}, linkButton(knob, "key", () => choose(knob))), ...cells.map(cell))));
  return rows[0].knob;
}

function drawNetworks(table, kind, state, choose) {
  const rows = kind === "front" ? state.members
    : data.networks.filter((network) => network.state === kind);
  const ended = kind === "stopped" || kind === "infeasible";
  const head = ["Key", "Name", ...(ended ? ["Epochs"] : ["Dice", ...data.classes]),
    ...data.costs.map((cost) => TITLES[cost]), ...(ended ? ["Reason"] : [])];
  const cells = (network) => [
    network.name?.text ?? "",
    ...(ended ? [String(network.epochs)]
      : [network.dice, ...network.perClass].map((dice) => shown("dice", dice))),
    ...data.costs.map((cost) => shown(cost, network.costs[cost])),
  ];
  fillTable(table,
    head.map((name) => element("th", {class: name === "Reason" ? "reason" : null}, name)),
    rows.map((network) => element("tr", {class: network.key === state.chosen ? "chosen" : null},
      element("td", {}, keyButton(network, choose)),
      ...cells(network).map((text) => element("td", {}, text)),
      ended ? element("td", {class: "reason"}, network.reason ?? "") : null)));
}
