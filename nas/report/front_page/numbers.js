// The networks, who dominates whom, and what is within the budgets. Nothing is drawn here.
const data = JSON.parse(document.getElementById("data").textContent);
const TITLES = Object.fromEntries(
  Object.entries(data.formats).map(([name, {title}]) => [name, title]));
const byKey = new Map(data.networks.map((network) => [network.key, network]));
const trained = data.networks.filter((network) => network.state === "complete");
const BESIDE = ["baseline", "compressed"];  // shown with the front, and no part of it
const beside = data.networks.filter((network) => BESIDE.includes(network.state));

function value(network, objective) {
  return objective === "dice" ? network.dice : network.costs[objective];
}

// Objectives to be minimised; unknown ones are NaN, which neither dominates nor is on a front.
function minimised(network) {
  return data.objectives.map((objective) => {
    const known = value(network, objective);
    return known === null ? NaN : objective === "dice" ? -known : known;
  });
}
const points = new Map([...trained, ...beside].map((network) => [network, minimised(network)]));

function dominates(one, other) {
  const [a, b] = [points.get(one), points.get(other)];
  return a.every((x, i) => x <= b[i]) && a.some((x, i) => x < b[i]);
}

function frontOf(networks) {
  const known = networks.filter((network) => !points.get(network).some(Number.isNaN));
  return known
    .filter((network) => !known.some((other) => dominates(other, network)))
    .sort((a, b) => (a.costs.params ?? Infinity) - (b.costs.params ?? Infinity)
      || b.dice - a.dice || (a.key < b.key ? -1 : 1));
}

// `budgets`: the highest value of a cost, the lowest Dice; null where all will do.
function within(network, budgets) {
  return Object.entries(budgets).every(([name, limit]) => {
    const known = value(network, name);
    if (limit === null) return true;
    return known !== null && (name === "dice" ? known >= limit : known <= limit);
  });
}

// A value for people: of a cost three significant digits (12.3 k, 1.5 GiB, 8.7 ms), of Dice four.
function shown(name, number) {
  if (number === null || number === undefined) return "—";
  if (typeof number === "string") return number;  // why there is none
  const {unit, prefixes, maximised} = data.formats[name];
  if (maximised) return number.toFixed(4);
  const [size, prefix] = prefixes.find(([size]) => number >= 0.9995 * size) ?? [1, ""];
  return `${Number((number / size).toPrecision(3))} ${prefix}${unit}`.trim();
}

function percent(share) {
  return share === null ? "—" : `${Math.round(100 * share)} %`;
}

// The Dice after the last epoch of a network that was stopped: of a shorter training.
function lastDice(network) {
  return network.curve.length ? network.curve[network.curve.length - 1] : null;
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
}

// Known values that span enough to be read better by their logarithm.
function spansDecades(numbers) {
  return numbers.length > 0 && Math.min(...numbers) > 0
    && Math.max(...numbers) >= 5 * Math.min(...numbers);
}

// An element; attributes that are functions listen to events. Texts are never read as HTML.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, given] of Object.entries(attributes)) {
    if (typeof given === "function") made.addEventListener(name, given);
    else if (given !== null && given !== false) made.setAttribute(name, given === true ? "" : given);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function linkButton(text, look, click) {
  return element("button", {type: "button", class: `link ${look}`, click}, text);
}

// A bar of that share, from 0 to 1, of its full width.
function track(share) {
  const filled = element("i");
  filled.style.width = `${100 * share}%`;
  return element("span", {class: "track"}, filled);
}
