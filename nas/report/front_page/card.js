// The card of a network: what it is, what it costs, and why it is not on the front.
const STATES = {stopped: "stopped early", infeasible: "infeasible", complete: "trained",
  baseline: "beside the front", compressed: "beside the front", untrained: "not trained in this search"};

function keyButton(network, choose) {
  return linkButton(network.key, "key", () => choose(network.key));
}

// "on the front", or why it is not in two words.
function status(network, state) {
  if (network.state !== "complete") return STATES[network.state];
  if (state.members.includes(network)) return "on the front";
  const waits = data.objectives.some((name) => name.includes("@") && value(network, name) === null);
  if (waits) return "waiting for a latency";
  return within(network, state.budgets) ? "not on the front" : "outside the budgets";
}

// The titles of the objectives that are not known of it.
function unknown(network) {
  return data.objectives.filter((name) => value(network, name) === null).map(titleOf);
}

function costsOf(network) {
  const rows = [];
  if (network.dice !== null) rows.push(["Dice", shown("dice", network.dice)]);
  if (network.trainings.length) {
    rows.push(["Mean of", network.trainings.map((dice) => shown("dice", dice)).join(", ")]);
  }
  if (network.chance !== null) rows.push(["Chance of the front", percent(network.chance)]);
  if (network.state === "stopped") rows.push(["Dice when stopped", shown("dice", lastDice(network))]);
  for (const cost of data.costs) rows.push([titleOf(cost), shown(cost, network.costs[cost])]);
  if (network.macsBounds) {
    rows.push(["MACs, least and most", network.macsBounds.map((n) => shown("macs", n)).join(", ")]);
  }
  if (network.epochs) rows.push(["Epochs trained", network.epochs]);
  return element("dl", {}, ...rows.flatMap(([name, number]) => [
    element("dt", {}, name), element("dd", {}, String(number))]));
}

function classBars(network) {
  return data.classes.map((name, place) => {
    const dice = network.perClass[place];
    const absent = typeof dice === "string";  // there is no bar to be drawn
    return element("div", {class: "bar"}, element("span", {}, name), absent ? null : track(dice ?? 0),
      element("span", {class: absent ? "absent" : null}, shown("dice", dice)));
  });
}

// By how much a member is better: "Dice +0.0120, Parameters −34 k".
function advantage(member, network) {
  return data.objectives.flatMap((name) => {
    const gain = value(member, name) - value(network, name);
    if (gain === 0) return [];
    const size = shown(name, Math.abs(gain));
    return [`${titleOf(name)} ${gain > 0 ? "+" : "−"}${size}`];
  }).join(", ");
}

// "It is outside the budgets: MACs 93.3 M (≤ 43.9 M)."
function excess(network, state) {
  const over = Object.entries(state.budgets).filter(([name, limit]) =>
    !within(network, {[name]: limit}));
  const texts = over.map(([name, limit]) =>
    `${titleOf(name)} ${shown(name, value(network, name))} (${limitText(name, limit)})`);
  return `It is outside the budgets: ${texts.join(", ")}.`;
}

function whyNot(network, state, choose) {
  if (state.members.includes(network)) return [];
  const title = beside.includes(network) ? "Beside the networks found" : "Why not this one";
  const told = (...parts) => [element("h3", {}, title), ...parts];
  const text = (words) => told(element("p", {}, words));
  if (network.state === "untrained") return [element("p", {}, `${network.name.kind === "baseline"
    ? "A well-known network" : "A preset of the space"}: its costs were counted, its Dice here is not known.`)];
  if (network.state === "infeasible") return text(network.reason ?? "");
  if (network.state === "stopped") {
    return text(`It was ${network.reason ?? "stopped early"}. `
      + "Its Dice is of a shorter training and not to be compared with the others'.");
  }
  if (!within(network, state.budgets)) return text(excess(network, state));
  const better = state.members.filter((member) => dominates(member, network));
  const missing = unknown(network).join(", ");
  if (!better.length) {
    return text(missing ? `It takes no place while this is not known: ${missing}.`
      : "Better than every network found at its cost.");
  }
  return told(
    element("p", {}, `Dominated by ${counted(better.length, "member")} of the front, as good in `
      + "everything and better in something:"),
    element("ul", {}, ...better.map((member) =>
      element("li", {}, keyButton(member, choose), ` ${advantage(member, network)}`))));
}

function neighbours(network, state, choose) {
  const place = state.members.indexOf(network);
  if (place < 0) return null;
  const [smaller, larger] = [state.members[place - 1], state.members[place + 1]];
  const step = (text, other) => (other ? linkButton(text, "", () => choose(other.key)) : null);
  return element("p", {class: "steps"}, step("← smaller member", smaller),
    smaller && larger ? " · " : null, step("larger member →", larger));
}

// A command with a button that copies it.
function command(text) {
  const code = element("code", {}, text);
  const button = element("button", {type: "button", class: "tool", click: () => {
    getSelection().selectAllChildren(code);
    navigator.clipboard?.writeText(text).then(() => { button.textContent = "Copied"; }, () => {});
  }}, "Copy");
  return element("div", {class: "command"}, code, button);
}

// How it becomes a folder of its own, to be retrained and deployed.
function taking(network) {
  if (network.state !== "complete" && !beside.includes(network)) return [];
  return [element("h3", {}, "Take it"), command(`segnas export ${searchFolder()} --pick ${network.key} --to OUT`)];
}

// The search's folder as a shell reads it, where the page still lies in it.
function searchFolder() {
  const {protocol, host, pathname} = location;
  if (!data.inFolder || protocol !== "file:" || host) return "SEARCH_DIR";
  const path = decodeURIComponent(pathname).replace(/\/[^/]*$/, "");
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'"'"'`)}'`;
}

// Its run in MLflow: a link where a server shows it, else how to have it shown.
function tracked(network) {
  if (!network.run) return [];
  const title = element("h3", {}, "In MLflow");
  if (data.runs) {
    const link = element("a", {href: data.runs + network.run, target: "_blank", rel: "noopener"}, "Open its run");
    return [title, element("p", {}, link)];
  }
  return [title, element("p", {}, "Run ", element("span", {class: "key"}, network.run), ", shown by"),
    command(`segnas ui ${searchFolder()}`)];
}

function drawCard(card, network, state, {choose, close}) {
  const closing = element("button", {type: "button", class: "tool close", "aria-label": "Close the card", click: close}, "✕");
  if (!network) {
    card.replaceChildren(element("p", {}, data.networks.length
      ? "Choose a network in a chart or a table to see what it is, what it costs, and how to take it."
      : "No network was trained yet."));
    return;
  }
  const text = status(network, state);
  const look = text === "on the front" ? "state front" : "state";
  const name = network.name ? ` · ${network.name.kind} ${network.name.text}` : "";
  card.replaceChildren(...[
    closing,
    element("h2", {}, network.key),
    element("p", {class: look}, text + name),
    neighbours(network, state, choose),
    costsOf(network),
    ...whyNot(network, state, choose),
    ...taking(network),
    ...(network.perClass.some((dice) => dice !== null)
      ? [element("h3", {}, "Dice per class"), ...classBars(network)] : []),
    ...(network.curve.length > 1
      ? [element("h3", {}, "Validation Dice"), element("div", {id: "curve"})] : []),
    element("h3", {}, "Architecture"),
    network.picture === null ? null : picture(data.pictures[network.picture]),
    element("details", {open: network.picture === null}, element("summary", {}, "Its choices"),
      element("code", {}, network.text)),
    ...tracked(network),
  ].filter((part) => part !== null));
  if (network.curve.length > 1) drawCurve(card.querySelector("#curve"), network);
}
