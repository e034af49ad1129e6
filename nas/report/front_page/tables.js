// Budgets, the legend, the importance of knobs, and the table of networks.
function counted(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

function caption() {
  const names = data.objectives.map((name) => TITLES[name].replace(/^[PTL]/, (l) => l.toLowerCase()));
  const count = (kind) => data.networks.filter((n) => n.state === kind).length;
  const texts = [
    `${data.front.length} of ${counted(trained.length, "trained network")} `
      + `${data.front.length === 1 ? "is" : "are"} the front: none is `
      + `better in one of ${names.join(", ")} and as good in the others.`,
    count("stopped") ? `${counted(count("stopped"), "candidate")} stopped early.` : "",
    count("infeasible") ? `${counted(count("infeasible"), "candidate")} rejected.` : "",
    data.latency ? `Latency is the median of one pass: ${data.latency}.` : "",
  ];
  return texts.filter(Boolean).join(" ");
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
  function show(tell) {
    output.textContent = text();
    input.setAttribute("aria-valuetext", text());
    if (tell) changed();
  }
  show(false);
  const row = element("label", {}, output, TITLES[name], input);
  return {name, row, limit, usable: values.length > 1,
    reset: () => { input.value = end; show(false); }};
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

function importanceText() {
  if (data.importances === null) return "This is worked out once the search has ended.";
  if (!data.importances.length) return "Fewer than ten networks tell nothing about their knobs.";
  const counts = data.importances.map((one) => `${TITLES[one.objective]} ${one.networks}`).join(", ");
  return "How much each knob decides whether a network is among the best quarter in an objective "
    + "(PED-ANOVA of Optuna; a column sums to 100 %). Grey bars are no longer than chance "
    + `makes them. Networks that tell: ${counts}. Choose a knob to see what its options came to.`;
}

function drawImportance(table, choose) {
  const tops = new Map();
  for (const one of data.importances ?? []) {
    for (const [knob, share] of Object.entries(one.shares)) {
      const counts = share >= 0.03 || one.beyondChance.includes(knob);
      if (counts) tops.set(knob, (tops.get(knob) ?? 0) + share);
    }
  }
  const knobs = [...tops.keys()].filter((knob) => data.knobs.some((one) => one.name === knob));
  knobs.sort((a, b) => tops.get(b) - tops.get(a));
  if (!knobs.length) return null;
  const cell = (one, knob) => {
    const share = one.shares[knob] ?? 0;
    const filled = element("i");
    filled.style.width = `${100 * share}%`;
    return element("td", {class: one.beyondChance.includes(knob) ? "share" : "share noise"},
      element("div", {}, element("span", {class: "track"}, filled),
        element("span", {}, `${Math.round(100 * share)} %`)));
  };
  table.replaceChildren(
    element("thead", {}, element("tr", {}, element("th", {}, "Knob"),
      ...data.importances.map((one) => element("th", {}, TITLES[one.objective])))),
    element("tbody", {}, ...knobs.map((knob) => element("tr", {"data-knob": knob},
      element("td", {}, element("button", {type: "button", class: "link key",
        click: () => choose(knob)}, knob)),
      ...data.importances.map((one) => cell(one, knob))))));
  return knobs[0];
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
  table.replaceChildren(
    element("thead", {}, element("tr", {}, ...head.map((name) =>
      element("th", {class: name === "Reason" ? "reason" : null}, name)))),
    element("tbody", {}, ...rows.map((network) => element("tr",
      {class: network.key === state.chosen ? "chosen" : null},
      element("td", {}, keyButton(network, choose)),
      ...cells(network).map((text) => element("td", {}, text)),
      ended ? element("td", {class: "reason"}, network.reason ?? "") : null))));
}
