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
  // As far as this value: what is worse is out at first.
  const start = (worst) => {
    input.value = values.findLastIndex((one) => (name === "dice" ? one >= worst : one <= worst));
    show(false);
  };
  return {name, row, limit, start, usable: values.length > 1,
    reset: () => { input.value = end; show(false); }};
}

function legend(where) {
  const has = (kind) => data.networks.some((n) => n.state === kind);
  const named = (kinds) => [...trained, ...beside]
    .some((n) => n.name && kinds.includes(n.name.kind));
  const reached = data.networks.map((n) => n.dice ?? lastDice(n)).filter((dice) => dice !== null);
  const floor = lowest([...trained, ...beside].map((n) => n.dice)
    .filter((dice) => dice !== null));
  const entries = [
    [true, "●", COLOURS.front, "front"],
    [true, "●", COLOURS.other, "other trained networks"],
    [has("stopped"), "○", COLOURS.other, "stopped early: not comparable"],
    [has("infeasible"), "|", COLOURS.other, "rejected"],
    [reached.some((dice) => dice < floor), "▼", COLOURS.other, "lower than the picture"],
    [named(["preset", "start"]), "◇", COLOURS.named, "preset or warm start"],
    [named(["baseline"]), "□", COLOURS.named, "baseline"],
    [named(["compressed"]), "☆", COLOURS.named, "made smaller after the search"],
  ];
  for (const [there, sign, colour, text] of entries) {
    const mark = element("span", {"aria-hidden": "true", style: `color: ${colour}`}, sign);
    if (there) where.append(element("li", {}, mark, text));
  }
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
    element("div", {}, track(share), element("span", {}, percent(share))));
  const head = ["Knob", ...objectives.map((name) => TITLES[name])];
  fillTable(table, head.map((title) => element("th", {}, title)),
    rows.map(({knob, cells}) => element("tr", {"data-knob": knob},
      element("td", {}, linkButton(knob, "key", () => choose(knob))), ...cells.map(cell))));
  return rows[0].knob;
}

function drawNetworks(table, kind, state, choose) {
  const rows = kind === "front" ? [...state.members, ...beside]
    : data.networks.filter((network) => network.state === kind);
  const ended = kind === "stopped" || kind === "infeasible";
  const repeated = !ended && trained.some((network) => network.chance !== null);
  const head = ["Key", "Name", ...(ended ? ["Epochs"] : ["Dice", ...data.classes]),
    ...(repeated ? ["Trainings", "Chance"] : []),
    ...data.costs.map((cost) => TITLES[cost]), ...(ended ? ["Reason"] : [])];
  const cells = (network) => [
    network.name ? network.name.text + (network.state === "baseline" ? " (baseline)" : "") : "",
    ...(ended ? [String(network.epochs)]
      : [network.dice, ...network.perClass].map((dice) => shown("dice", dice))),
    ...(repeated ? [String(network.trainings.length || 1), percent(network.chance)] : []),
    ...data.costs.map((cost) => shown(cost, network.costs[cost])),
  ];
  fillTable(table,
    head.map((name) => element("th", {class: name === "Reason" ? "reason" : null}, name)),
    rows.map((network) => element("tr", {class: network.key === state.chosen ? "chosen" : null},
      element("td", {}, keyButton(network, choose)),
      ...cells(network).map((text) => element("td", {}, text)),
      ended ? element("td", {class: "reason"}, network.reason ?? "") : null)));
}
