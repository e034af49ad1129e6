// What is chosen, and everything that is drawn anew when that changes.
const state = {members: [], budgets: {}, knob: null, by: "front", colours: null, brush: new Map(),
  lit: () => true, lanes: {}, all: false, more: false, sort: null, rows: ROWS, waiting: false};
const REST = 60;  // ms until what is below the planes is drawn
const narrow = matchMedia("(max-width: 980px)");
const plots = [];
let sliders = [], opener = null, choices, resetRoving, drawn = "";

function count() {
  state.budgets = Object.fromEntries(sliders.map((one) => [one.name, one.limit()]));
  const allowed = trained.filter((network) => within(network, state.budgets));
  state.members = frontOf(allowed);
  const free = Object.values(state.budgets).every((limit) => limit === null);
  at("reset").hidden = free;
  state.told = free ? `${counted(state.members.length, "network")} on the front.`
    : `${counted(allowed.length, "network")} within the budgets, `
      + `${state.members.length} on the front.${atFirst()}`;
}

// Why there is a budget that nobody set.
function atFirst() {
  const [dice, ...costs] = Object.values(state.budgets);
  const below = frontOf(trained).filter((network) => network.dice < data.reference).length;
  if (!below || dice !== reference() || costs.some((limit) => limit !== null)) return "";
  return ` ${counted(below, "member")} below Dice ${shown("dice", data.reference)}, 0.9 of the best, `
    + "left out until the budgets are cleared.";
}

// The lowest Dice that is shown at first.
function reference() {
  return Math.min(...trained.map(({dice}) => dice).filter((dice) => dice !== null && dice >= data.reference));
}

function budget() {
  count();
  soon();
}

// A dragged slider moves faster than pictures are drawn: the planes follow it, the rest catches up.
function soon() {
  if (!state.waiting) requestAnimationFrame(() => { state.waiting = false; draw(); });
  state.waiting = true;
  at("content").setAttribute("aria-busy", "true");
}

function draw() {
  state.colours = colouring(state.by);
  state.lit = litBy(state);
  const lit = trained.filter(state.lit).length;
  at("left").textContent = state.told + (state.brush.size ? ` ${counted(lit, "network")} lit.` : "");
  for (const {plot, cost} of plots) drawPlane(plot, cost, state);
  if (state.lighting) choices.draw(state);
  clearTimeout(state.later);
  state.later = setTimeout(drawRest, REST);
}

function drawRest() {
  drawLegend(at("legend"), state);
  drawLit();
  if (!state.lighting) choices.draw(state);
  state.lighting = false;
  at("all").hidden = !(state.more || state.all);
  at("all").textContent = state.all ? "Only the knobs that fit" : `All ${data.knobs.length} knobs`;
  table();
  card();
  drawEffects();
  at("content").setAttribute("aria-busy", "false");
  document.dispatchEvent(new Event("drawn"));
}

// What is lit, each with a button that ends it.
function drawLit() {
  at("lit").replaceChildren(...[...state.brush].map(([name, {text}]) =>
    element("button", {type: "button", class: "tool", "aria-label": `No longer light ${text}`,
      click: () => light(name, null)}, `${text} ✕`)));
}

function light(name, brush) {
  if (brush) state.brush.set(name, brush); else state.brush.delete(name);
  state.lighting = true;
  soon();
}

function table() {
  drawNetworks(at("networks"), at("which").value, state, calls);
  resetRoving();
  markChosen(at("networks"));
}

function card() {
  const network = byKey.get(selected.chosen);
  const what = JSON.stringify([network, data.networks.length > 0, state.budgets, state.members.map(({key}) => key)]);
  if (what === drawn) return;  // what is being read stays
  drawn = what;
  drawCard(at("card"), network, state, calls);
  document.body.classList.toggle("opened", Boolean(network));
}

function rings() {
  for (const {plot} of plots) plot.ring();
  choices.ring();
  for (const plot of effects) plot.ring();
}

function choose(key) {
  if (!at("card").contains(document.activeElement)) opener = document.activeElement;
  selected.chosen = key;
  remember(key);
  tip.hide();
  rings();
  markChosen(at("networks"));
  card();
  at("card").scrollTop = 0;
  at("card").focus({preventScroll: true});
}

// Back to where the card was opened from.
function close() {
  if (selected.chosen === null) return;
  selected.chosen = null;
  remember("");
  rings();
  markChosen(at("networks"));
  card();
  if (opener?.isConnected) opener.focus({preventScroll: true});
}

// The address leads to the network again; a frame of MLflow's has none to change.
function remember(key) {
  try { history.replaceState(null, "", key ? `#${key}` : location.pathname + location.search); } catch { /* denied */ }
}

function point(key) {
  selected.pointed = key;
  rings();
}

function sort(title) {
  state.sort = {title, down: state.sort?.title === title && !state.sort.down};
  table();
}

const calls = {choose, close, point, describe, sort, brush: light};
const effects = [];

function chooseKnob(knob) {
  state.knob = knob;
  drawEffects();
}

function drawEffects() {
  for (const row of at("importances").querySelectorAll("tbody tr")) {
    row.classList.toggle("chosen", row.dataset.knob === state.knob);
  }
  if (!state.knob) return;
  effects.forEach((plot, i) => drawEffect(plot, state.knob, data.objectives[i], state));
}

// As many planes in a row as there is room for, no row much emptier than another.
function arrange() {
  const most = Math.max(1, Math.floor((at("planes").clientWidth + 24) / (320 + 24)));
  const rows = Math.ceil(data.costs.length / most);
  at("planes").style.setProperty("--columns", Math.ceil(data.costs.length / rows));
}

// What depends on which costs and knobs there are; again when a running search knows more.
function build() {
  const known = sliders.map((one) => one.name).join();
  if (known !== ["dice", ...data.costs].join()) {
    const held = new Map(sliders.map((one) => [one.name, one.limit()]));
    sliders = ["dice", ...data.costs].map((name) => slider(name, budget, held.get(name) ?? null));
    at("budgets").replaceChildren(...sliders.map((one) => one.row));
    plots.length = 0;
    at("planes").replaceChildren(...data.costs.map((cost) => {
      const plane = element("div", {class: "plane", "data-cost": cost});
      plots.push({cost, plot: new Plot(plane, `Dice against ${titleOf(cost)}`, calls)});
      return plane;
    }));
  }
  sliders.forEach((one) => one.update());
  at("caption").textContent = data.caption;
  at("conditions").textContent = data.conditions;
  at("budgets-head").hidden = sliders.every(({row}) => row.hidden);
  at("by-keyboard").hidden = !data.costs.length;
  if (at("by").length !== 1 + 1 + data.costs.length + data.knobs.length) at("by").replaceChildren(...colourOptions());
  at("by").value = state.by;
  at("importances-text").textContent = data.importances.text;
  const first = drawImportance(at("importances"), chooseKnob);
  state.knob = data.importances.rows.some(({knob}) => knob === state.knob) ? state.knob : first;
  if (state.knob && !effects.length) {
    at("effect").append(...data.objectives.map((objective) => {
      const plane = element("div", {class: "plane", "data-objective": objective});
      effects.push(new Plot(plane, `${titleOf(objective)} by the options of the chosen knob`, calls));
      return plane;
    }));
  }
  at("choices-section").hidden = !trained.length;
  for (const option of at("which").options) {
    option.hidden = option.value !== "front" && !data.networks.some((network) => network.state === option.value);
  }
  drawRunning(at("running"));
}

// What a search that runs has written since; the reader stays where they are.
function news(given) {
  if (document.querySelector(":active")) return;  // something is being dragged or pressed
  if (given.version !== data.version) { location.reload(); return; }
  const row = document.activeElement?.closest("#networks tr")?.dataset.key;
  take(given);
  build();
  state.lanes = lanesOf();
  budget();
  setTimeout(() => {
    if (row) at("networks").querySelector(`[data-key="${CSS.escape(row)}"] button`)?.focus();
  }, 2 * REST);
}

function start() {
  take(JSON.parse(at("data").textContent));
  document.body.append(tip.box);
  at("tools").append(themeButton(soon));
  choices = new Choices(at("choices"), "Trained networks, by Dice", calls);
  rove(at("importances"));
  resetRoving = rove(at("networks"));
  new ResizeObserver(arrange).observe(at("planes"));
  build();
  arrange();
  at("reset").addEventListener("click", () => { sliders.forEach((one) => one.set(null)); budget(); });
  at("by").addEventListener("change", () => { state.by = at("by").value; soon(); });
  at("all").addEventListener("click", () => { state.all = !state.all; soon(); });
  at("more").addEventListener("click", () => { state.rows += ROWS; table(); });
  at("which").addEventListener("change", () => { state.rows = ROWS; state.sort = null; table(); });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") { tip.hide(); close(); } });
  window.addEventListener("hashchange", () => { const key = location.hash.slice(1); if (byKey.has(key)) choose(key); });
  const best = frontOf(trained).reduce((one, other) => (one && one.dice >= other.dice ? one : other), null);
  const linked = location.hash.slice(1);
  selected.chosen = byKey.has(linked) ? linked : narrow.matches ? null : best?.key ?? null;
  sliders[0].set(data.reference);
  count();
  state.lanes = lanesOf();
  draw();
  drawLegend(at("legend"), state);
  card();
  follow(news);
}

if (!answersAsData()) start();
