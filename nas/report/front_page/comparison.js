// The fronts of several searches in the same planes.
const SHAPES = ["dot", "square", "diamond", "down", "star"];

const lookOf = (search) => {
  const mark = SHAPES[search % SHAPES.length], size = {dot: 6, square: 5.4, diamond: 5.6}[mark] ?? 7;
  return {mark, size, fill: palette.set[search % palette.set.length], halo: palette.paper, front: true};
};

function drawPlanes(plots) {
  const members = data.networks.filter((network) => network.member && network.dice !== null);
  for (const {cost, plot} of plots) {
    const place = (network) => [value(network, cost), network.dice];
    const known = data.networks.filter((network) => value(network, cost) !== null && network.dice !== null);
    const from = lowest(members.map((network) => network.dice));
    const seen = known.filter((network) => network.member || network.dice >= from);
    const of = (search, member) => seen.filter((one) => one.search === search && one.member === member);
    const groups = data.searches.flatMap((_, search) => {
      const look = lookOf(search);
      return [{look: {...look, size: 0.5 * look.size, alpha: 0.4, front: false}, networks: of(search, false), at: place},
        {look, networks: of(search, true), at: place}];
    });
    plot.draw({x: scale(cost, seen.map((one) => value(one, cost))), y: scale("dice", seen.map((one) => one.dice)), groups,
      steps: data.searches.map((_, search) => ({points: staircase(of(search, true), cost), stairs: true,
        colour: lookOf(search).fill, dash: search % 2 ? [7, 4] : []}))});
  }
}

function fill(table, head, rows) {
  table.replaceChildren(element("thead", {}, element("tr", {}, ...head.map((text) => element("th", {scope: "col"}, text)))),
    element("tbody", {}, ...rows));
}

function cells(...texts) {
  return texts.map((text) => element("td", {}, text));
}

// The very same network may be on several fronts, trained in each.
function searchesOf(network) {
  const own = data.searches[network.search].name;
  return network.same.length ? `${own} (the same network in ${network.same.join(", ")})` : own;
}

function runOf(network) {
  return network.run ? [" ", element("a", {href: network.run, target: "_blank", rel: "noopener"}, "its run")] : [];
}

function write(choose) {
  at("legend").replaceChildren(...data.searches.map(({name}, search) => legendEntry(lookOf(search), name)),
    legendEntry({...lookOf(0), fill: palette.soft, size: 3, alpha: 0.5}, "small: trained, not on its front"));
  fill(at("searches"), ["Search", "Trained", "On the front", "Best Dice", "Dominated by others", "Hypervolume"],
    data.searches.map((one) => element("tr", {}, ...cells(one.name, String(one.trained), String(one.front),
      shown("dice", one.best), `${one.dominated} of ${one.front}`, one.hypervolume.toFixed(4)))));
  at("leads").replaceChildren(...Object.entries(data.leads).map(([cost, stretches]) => {
    const table = element("table");
    fill(table, [titleOf(cost), "Ahead in Dice"], stretches.map(({ahead, range, text}) => {
      const swatch = element("i", {class: "swatch", "aria-hidden": "true"});
      swatch.style.background = ahead === null ? palette.spent : lookOf(ahead).fill;
      return element("tr", {}, element("td", {}, range), element("td", {class: "left"}, swatch, ` ${text}`));
    }));
    return element("div", {}, table);
  }));
  const members = data.networks.filter((network) => network.member)
    .sort((a, b) => a.costs.params - b.costs.params || a.search - b.search);
  fill(at("networks"), ["Network", "Search", "Dice", ...data.costs.map(titleOf), "Dominated"], members.map((network) =>
    element("tr", {"data-key": network.key, class: network.beaten ? "beaten" : null},
      element("td", {}, linkButton(network.key.split("/").pop(), "key", () => choose(network.key)), ...runOf(network)),
      ...cells(searchesOf(network), shown("dice", network.dice),
        ...data.costs.map((cost) => shown(cost, value(network, cost))), network.beaten ? "yes" : ""))));
}

function compare() {
  take(JSON.parse(at("data").textContent));
  document.body.append(tip.box);
  at("caption").textContent = data.caption;
  at("notes").replaceChildren(...data.notes.map((note) => element("li", {}, note)));
  const plots = [];
  const point = (key) => { selected.pointed = key; plots.forEach(({plot}) => plot.ring()); };
  const choose = (key) => {
    selected.chosen = key;
    plots.forEach(({plot}) => plot.ring());
    for (const row of at("networks").querySelectorAll("tbody tr")) {
      row.classList.toggle("chosen", row.dataset.key === key);
      if (row.dataset.key === key) row.querySelector("button").focus();
    }
  };
  const draw = () => { drawPlanes(plots); write(choose); };
  at("tools").append(themeButton(draw));
  for (const cost of data.costs) {
    const plane = element("div", {class: "plane", "data-cost": cost});
    at("planes").append(plane);
    plots.push({cost, plot: new Plot(plane, `Dice against ${titleOf(cost)}`, {choose, point, describe})});
  }
  draw();
}

compare();
