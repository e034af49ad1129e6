// Budgets, the importance of knobs, and the table of networks.
const ROWS = 200;  // of the table at a time

// A slider steps from network to network; its end, where all will do, is null.
function slider(name, changed, limit = null) {
  let values = [];
  const best = name === "dice";
  const output = element("output");
  const input = element("input", {type: "range", min: 0, step: 1, name,
    "aria-label": `${titleOf(name)} at ${best ? "least" : "most"}`, input: () => {
      const place = Number(input.value);
      limit = place === values.length - 1 ? null : values[place];
      show();
      changed();
    }});
  function show() {
    const text = limit === null ? "any" : limitText(name, limit);
    output.textContent = text;
    input.setAttribute("aria-valuetext", text);
  }
  const row = element("label", {}, output, titleOf(name), input);
  // The networks there are now; the limit stays.
  function update() {
    const known = trained.map((network) => value(network, name)).filter((one) => one !== null);
    values = [...new Set(known)].sort((a, b) => (best ? b - a : a - b));
    input.max = values.length - 1;
    row.hidden = values.length < 2;
    set(limit);
  }
  // As far as this value: what is worse is out.
  function set(worst) {
    const place = worst === null ? values.length - 1
      : values.findLastIndex((one) => (best ? one >= worst : one <= worst));
    input.value = Math.max(0, place);
    limit = place === values.length - 1 || place < 0 ? null : values[place];
    show();
  }
  return {name, row, limit: () => limit, set, update};
}

function fillTable(table, head, rows) {
  table.replaceChildren(element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...rows));
}

// One of the buttons in a table's first column is reached by Tab, the others from there by arrows.
function rove(table) {
  const buttons = () => [...table.querySelectorAll("tbody tr td:first-child button")];
  table.addEventListener("keydown", (event) => {
    const all = buttons(), here = all.indexOf(document.activeElement);
    const next = {ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: all.length - 1}[event.key];
    if (here < 0 || next === undefined || !all[next]) return;
    event.preventDefault();
    all[here].tabIndex = -1;
    all[next].tabIndex = 0;
    all[next].focus();
  });
  return () => buttons().forEach((button, place) => { button.tabIndex = place ? -1 : 0; });
}

// Returns the first knob of the table, or null where there is none.
function drawImportance(table, choose) {
  const {objectives, rows} = data.importances;
  table.replaceChildren();
  if (!rows.length) return null;
  const cell = ({share, noise}) => element("td", {class: noise ? "share noise" : "share"},
    element("div", {}, track(share), element("span", {}, percent(share))));
  const head = ["Knob", ...objectives.map(titleOf)];
  fillTable(table, head.map((title) => element("th", {scope: "col"}, title)),
    rows.map(({knob, cells}) => element("tr", {"data-knob": knob},
      element("td", {}, linkButton(knob, "key", () => choose(knob))), ...cells.map(cell))));
  return rows[0].knob;
}

// The columns of a table of networks: a title, the cell's text, and what it is sorted by.
function columns(kind) {
  const ended = kind === "stopped" || kind === "infeasible";
  const bare = ended || kind === "untrained";
  const repeated = !bare && trained.some((network) => network.chance !== null);
  const number = (title, of, text) => ({title, of, text});
  const named = (network) => (network.name
    ? network.name.text + (network.state === "baseline" ? " (baseline)" : "") : "");
  return [
    ...(data.networks.some(named) ? [{title: "Name", of: named, text: named, look: "name"}] : []),
    ...(ended ? [number("Epochs", (n) => n.epochs, (n) => String(n.epochs))] : []),
    ...(bare ? [] : [number("Dice", (n) => n.dice, (n) => shown("dice", n.dice)),
      ...data.classes.map((title, i) => number(title,
        (n) => (typeof n.perClass[i] === "number" ? n.perClass[i] : null), (n) => shown("dice", n.perClass[i])))]),
    ...(repeated ? [number("Trainings", (n) => n.trainings.length || 1, (n) => String(n.trainings.length || 1)),
      number("Chance", (n) => n.chance, (n) => percent(n.chance))] : []),
    ...data.costs.map((cost) => number(titleOf(cost), (n) => value(n, cost), (n) => shown(cost, value(n, cost)))),
    ...(ended ? [{title: "Reason", of: (n) => n.reason ?? "", text: (n) => n.reason ?? "", look: "reason"}] : []),
  ];
}

function listed(kind, state) {
  const rows = kind === "front" ? [...state.members, ...beside]
    : data.networks.filter((network) => network.state === kind);
  const column = columns(kind).find(({title}) => title === state.sort?.title);
  if (!column) return rows;
  const {down} = state.sort;
  return [...rows].sort((a, b) => {
    const [x, y] = [column.of(a), column.of(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
  });
}

// `calls`: `choose` a network, `sort` by a column, show `more` rows.
function drawNetworks(table, kind, state, calls) {
  const rows = listed(kind, state), shownRows = rows.slice(0, state.rows);
  const cols = columns(kind);
  const head = (column) => {
    const sorted = state.sort?.title === column.title && (state.sort.down ? "descending" : "ascending");
    return element("th", {scope: "col", class: column.look ?? null, "aria-sort": sorted || null},
      element("button", {type: "button", class: "sort", click: () => calls.sort(column.title)}, column.title));
  };
  fillTable(table, [element("th", {scope: "col"}, "Key"), ...cols.map(head)],
    shownRows.map((network) => element("tr", {"data-key": network.key},
      element("td", {}, keyButton(network, calls.choose)),
      ...cols.map((column) => element("td", {class: column.look ?? null}, column.text(network))))));
  const left = rows.length - shownRows.length;
  at("more").hidden = left <= 0;
  at("more").textContent = `Show ${Math.min(left, ROWS)} more of ${counted(rows.length, "network")}`;
  at("empty").hidden = rows.length > 0;
  table.hidden = !rows.length;
}

function markChosen(table) {
  for (const row of table.querySelectorAll("tbody tr")) {
    row.classList.toggle("chosen", row.dataset.key === selected.chosen);
  }
}
