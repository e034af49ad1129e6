// The networks, who dominates whom, and what is within the budgets. Nothing is drawn here.
const BESIDE = ["baseline", "compressed"];  // shown with the front, and no part of it
let data, byKey, trained, beside, untrained, points;

// All that follows from what the page was given; again, when a search that runs has written more.
function take(given) {
  data = given;
  byKey = new Map(data.networks.map((network) => [network.key, network]));
  const of = (...states) => data.networks.filter((network) => states.includes(network.state));
  [trained, beside, untrained] = [of("complete"), of(...BESIDE), of("untrained")];
  points = new Map([...trained, ...beside].map((network) => [network, minimised(network)]));
}

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

function dominates(one, other) {
  const [a, b] = [points.get(one), points.get(other)];
  return a.every((x, i) => x <= b[i]) && a.some((x, i) => x < b[i]);
}

// In the order of their objectives nobody is dominated by one that comes later.
function frontOf(networks) {
  const known = networks.filter((network) => !points.get(network).some(Number.isNaN));
  known.sort((one, other) => {
    const [a, b] = [points.get(one), points.get(other)];
    const first = a.findIndex((x, i) => x !== b[i]);
    return first < 0 ? 0 : a[first] - b[first];
  });
  const members = [];
  for (const network of known) {
    if (!members.some((member) => dominates(member, network))) members.push(network);
  }
  return members.sort((a, b) => (a.costs.params ?? Infinity) - (b.costs.params ?? Infinity)
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

// The Dice after the last epoch of a network that was stopped: of a shorter training.
function lastDice(network) {
  return network.curve.length ? network.curve[network.curve.length - 1] : null;
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
}

// The lowest Dice that a picture shows: far outliers would squeeze all others together.
function lowest(dice) {
  const sorted = [...dice].sort((a, b) => a - b);
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  return Math.max(sorted[0], at(0.25) - 1.5 * (at(0.75) - at(0.25)));
}

// The best Dice that a member reaches within each cost.
function staircase(members, cost) {
  const steps = [];
  const known = members.filter((member) => value(member, cost) !== null);
  known.sort((a, b) => value(a, cost) - value(b, cost) || b.dice - a.dice);
  for (const member of known) {
    if (!steps.length || member.dice > steps[steps.length - 1][1]) steps.push([value(member, cost), member.dice]);
  }
  return steps;
}

// The lines that tell what a network is, beside a pointer and to a screen reader.
function describe(network) {
  const name = network.name ? `${network.key} (${network.name.text})` : network.key;
  const stopped = `stopped after ${counted(network.epochs, "epoch")} at Dice ${shown("dice", lastDice(network))}`;
  const dice = {stopped, untrained: "not trained in this search",
    infeasible: `infeasible: ${network.reason ?? ""}`.slice(0, 90)}[network.state]
    ?? `Dice ${shown("dice", network.dice)}`;
  const costs = data.costs.filter((cost) => value(network, cost) !== null)
    .map((cost) => `${titleOf(cost)} ${shown(cost, value(network, cost))}`);
  return [name, dice, ...costs];
}
