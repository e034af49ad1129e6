// What is chosen, and everything that is drawn anew when that changes.
const at = (id) => document.getElementById(id);
const state = {members: [], budgets: {}, chosen: null, knob: null, waiting: false};
const sliders = ["dice", ...data.costs].map((name) => slider(name, budget));
const reset = element("button", {type: "button", hidden: true, click: () => {
  sliders.forEach((one) => one.reset());
  budget();
}}, "Clear budgets");

function budget() {
  state.budgets = Object.fromEntries(sliders.map((one) => [one.name, one.limit()]));
  const allowed = trained.filter((network) => within(network, state.budgets));
  state.members = frontOf(allowed);
  const free = Object.values(state.budgets).every((limit) => limit === null);
  reset.hidden = free;
  at("left").textContent = free ? `${counted(state.members.length, "network")} on the front.`
    : `${counted(allowed.length, "network")} within the budgets, `
      + `${state.members.length} on the front.`;
  soon();
}

// A dragged slider moves faster than pictures are drawn.
function soon() {
  if (!state.waiting) requestAnimationFrame(() => { state.waiting = false; draw(); });
  state.waiting = true;
}

function draw() {
  for (const plane of at("planes").children) drawPlane(plane, plane.dataset.cost, state);
  drawChoices(at("choices"), state);
  drawNetworks(at("networks"), at("which").value, state, choose);
  if (state.chosen) drawCard(at("card"), byKey.get(state.chosen), state, choose);
  else at("card").replaceChildren(element("p", {}, "No network was trained yet."));
  drawEffects();
}

function choose(key) {
  state.chosen = key;
  draw();
  const {top} = at("card").getBoundingClientRect();
  if (top < 0 || top > window.innerHeight / 2) at("card").scrollIntoView();
  at("card").scrollTop = 0;
  at("card").focus({preventScroll: true});
}

function chooseKnob(knob) {
  state.knob = knob;
  drawEffects();
}

function drawEffects() {
  if (!state.knob) return;
  for (const row of at("importances").querySelectorAll("tbody tr")) {
    row.classList.toggle("chosen", row.dataset.knob === state.knob);
  }
  const planes = at("effect").querySelectorAll(".plane");
  for (const plane of planes) drawEffect(plane, state.knob, plane.dataset.objective, state);
}

// A click chooses.
function listen(plot) {
  plot.on("plotly_click", (event) => choose(event.points[0].customdata));
}

// Pointing at a network in one plane shows it in the others.
function link(plane) {
  const others = [...at("planes").children].filter((other) => other !== plane);
  plane.on("plotly_hover", (event) => {
    others.forEach((other) => point(other, event.points[0].customdata));
  });
  plane.on("plotly_unhover", () => others.forEach((other) => point(other, null)));
}

at("caption").textContent = data.caption;
at("budgets").append(...sliders.filter((one) => one.usable).map((one) => one.row));
at("budgets-title").after(reset);
legend(at("legend"));
at("planes").append(...data.costs.map((cost) => element("div", {class: "plane", role: "img",
  "data-cost": cost, "aria-label": `Dice against ${TITLES[cost]}; the table of networks has the same`})));
at("importances-text").textContent = data.importances.text;
state.knob = drawImportance(at("importances"), chooseKnob);
if (state.knob) {
  at("effect").append(element("div", {}, ...data.objectives.map((objective) => element("div",
    {class: "plane", role: "img", "data-objective": objective,
      "aria-label": `${TITLES[objective]} by the options of the chosen knob`}))));
}
at("which").addEventListener("change", draw);
state.chosen = frontOf(trained).reduce((best, one) => (best && best.dice >= one.dice ? best : one),
  null)?.key ?? null;
sliders[0].start(data.reference);
budget();
draw();
document.querySelectorAll(".plane").forEach(listen);
[...at("planes").children].forEach(link);
if (trained.length) listen(at("choices"));
