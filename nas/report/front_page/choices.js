// Parallel coordinates: a line for each trained network through its results and its choices. The
// lines of one option stand side by side, the better ones above, so that a band shows its colours.
const APART = 86;  // pixels between two axes, at least
const HEAD = 54;

class Choices extends Plot {
  // `brush`: called with the name of an axis and what is to be lit there, null for everything.
  constructor(where, label, {brush, ...calls}) {
    super(where, label, calls);
    Object.assign(this, {brush, labels: element("div", {class: "axes"}), drag: null, taken: false});
    where.append(this.labels);
    this.list.addEventListener("pointerdown", (event) => this.grab(event));
    this.list.addEventListener("pointermove", (event) => this.pull(event));
    this.list.addEventListener("pointerup", () => this.drop());
    this.list.addEventListener("pointercancel", () => { this.drag = null; });
  }

  draw(state) {
    this.spec = state;
    const all = axesShown(state);
    this.where.style.minWidth = `${all.length * APART + 40}px`;
    const {clientWidth: width, clientHeight: height} = this.where;
    if (!width || !height || !trained.length) return;
    Object.assign(this, {all, width, height, box: {top: HEAD, bottom: height - 14}});
    const step = (width - 110) / Math.max(1, all.length - 1);
    this.xs = all.map((_, i) => 34 + i * step);
    const made = [data, width, height, palette.paper, state.by, state.all, window.devicePixelRatio];
    if (made.some((one, i) => one !== this.made?.[i])) {
      this.made = made;
      this.place(state);
      this.ground = this.everyone(state);
    }
    const ink = sheet(this.base, width, height);
    this.drawAxes(ink, state);
    ink.globalAlpha = state.brush.size ? 0.18 : 1;
    ink.drawImage(this.ground, 0, 0, width, height);
    const members = new Set(state.members);
    const colour = (network) => state.colours?.of(network)
      ?? (members.has(network) ? palette.front : palette.other);
    const lit = this.lines.filter(({network}) => state.lit(network));
    const draw = (lines, alpha, wide) => {
      ink.globalAlpha = alpha;
      for (const line of lines) this.stroke(ink, line, colour(line.network), wide);
    };
    if (state.brush.size) draw(lit.filter(({network}) => !members.has(network)), faint(lit.length, 0.12), 1.2);
    draw(lit.filter(({network}) => members.has(network)), faint(members.size, 0.45), 1.8);
    ink.globalAlpha = 1;
    this.write(state);
    this.places.forEach((place) => { place.front = members.has(place.network); });
    this.ring();
  }

  // All lines, the better ones above: a picture of its own, for it takes longest and changes least.
  everyone(state) {
    const canvas = document.createElement("canvas");
    const ink = sheet(canvas, this.width, this.height);
    ink.globalAlpha = faint(this.lines.length, state.colours ? 0.12 : 0.05);
    for (const line of [...this.lines].reverse()) {
      this.stroke(ink, line, state.colours?.of(line.network) ?? palette.other, 1.2);
    }
    return canvas;
  }

  // Where each network is on each axis, in pixels from the top.
  place(state) {
    const {all, box} = this;
    const long = box.bottom - box.top;
    const rank = (network) => state.colours?.rank(network) ?? network.dice ?? 0;
    const sorted = [...trained].sort((a, b) => rank(b) - rank(a) || (b.dice ?? 0) - (a.dice ?? 0));
    this.lines = sorted.map((network) => ({network, rank: rank(network), ys: new Array(all.length)}));
    this.bands = all.map((axis, i) => {
      if (axis.share) {
        for (const line of this.lines) {
          const share = axis.share(line.network);
          line.ys[i] = share === null ? null : box.bottom - share * long;
        }
        return null;
      }
      const room = long / axis.labels.length;
      return axis.labels.map((_, option) => {
        const here = this.lines.filter((line) => axis.option(line.network) === option);
        const middle = box.bottom - (option + 0.5) * room;
        const half = Math.min(0.4 * room, 1.7 * here.length);
        here.forEach((line, place) => {
          line.ys[i] = middle + (here.length > 1 ? (2 * place / (here.length - 1) - 1) * half : 0);
        });
        return {middle, half, networks: here.map((line) => line.network)};
      });
    });
    this.places = new Map(this.lines.map((line) => [line.network.key,
      {network: line.network, x: this.xs[0], y: line.ys[0] ?? box.bottom, line}]));
    this.order = [...this.places.values()].sort((a, b) => b.y - a.y);
  }

  drawAxes(ink, state) {
    const {box, xs} = this;
    this.all.forEach((axis, i) => {
      ink.strokeStyle = palette.line;
      ink.lineWidth = 1;
      ink.strokeRect(Math.round(xs[i]), box.top, 0, box.bottom - box.top);
      ink.fillStyle = palette.line;
      for (const {middle, half} of this.bands[i] ?? []) ink.fillRect(xs[i] - 3, middle - half - 2, 6, 2 * half + 4);
      const brush = state.brush.get(axis.name);
      if (brush?.values) {
        const [low, high] = axis.shares(brush.values);
        ink.fillStyle = palette.chosen;
        ink.globalAlpha = 0.35;
        ink.fillRect(xs[i] - 7, box.bottom - high * (box.bottom - box.top), 14, (high - low) * (box.bottom - box.top));
        ink.globalAlpha = 1;
      }
    });
  }

  stroke(ink, {ys}, colour, width) {
    const {xs} = this;
    ink.strokeStyle = colour;
    ink.lineWidth = width;
    ink.beginPath();
    for (let i = 0; i < ys.length; i += 1) {
      if (ys[i] === null) continue;
      if (!i || ys[i - 1] === null) { ink.moveTo(xs[i], ys[i]); continue; }
      const third = (xs[i] - xs[i - 1]) / 3;
      ink.bezierCurveTo(xs[i - 1] + third, ys[i - 1], xs[i] - third, ys[i], xs[i], ys[i]);
    }
    ink.stroke();
  }

  // Titles and options, as buttons that light what they name.
  write(state) {
    const {box, xs} = this;
    const rows = this.all.flatMap((axis, i) => {
      const brush = state.brush.get(axis.name);
      const best = {values: axis.values?.(axis.best), text: `best quarter of ${axis.title}`};
      const title = axis.share
        ? element("button", {type: "button", class: "axis", "aria-pressed": String(Boolean(brush)),
          title: `${axis.title}: light the best quarter; drag along the axis for another range`,
          click: () => this.brush(axis.name, brush ? null : best)}, axis.title)
        : element("span", {class: "axis", title: axis.title}, ...broken(axis.title));
      title.style.left = `${xs[i]}px`;
      const made = axis.share ? axis.ends.map(([share, text]) => {
        const end = element("span", {class: "end"}, text);
        end.style.left = `${xs[i] + 7}px`;
        end.style.top = `${box.bottom - share * (box.bottom - box.top)}px`;
        return end;
      }) : this.options(axis, i, brush);
      return [title, ...made];
    });
    const focused = document.activeElement?.dataset?.focus;
    this.labels.replaceChildren(...rows);
    if (focused) this.labels.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
  }

  options(axis, i, brush) {
    const room = (this.box.bottom - this.box.top) / axis.labels.length;
    const every = Math.ceil(15 / room);
    return this.bands[i].flatMap(({middle, networks}, option) => {
      if (option % every) return [];
      const dice = networks.map((network) => network.dice).filter((one) => one !== null);
      const told = `${axis.title} ${axis.labels[option]}: ${counted(networks.length, "network")}`
        + `${dice.length ? `, median Dice ${shown("dice", median(dice))}` : ""}`;
      const label = axis.labels[option], on = brush?.options.has(label) ?? false;
      const button = element("button", {type: "button", class: "option", title: told, "aria-label": told,
        "aria-pressed": String(on), "data-focus": `${axis.name} ${option}`, click: () => {
          const options = new Set(brush?.options ?? []);
          if (on) options.delete(label); else options.add(label);
          const text = `${axis.title} ${[...options].join(" or ")}`;
          this.brush(axis.name, options.size ? {options, text} : null);
        }}, label);
      button.style.left = `${this.xs[i] + 6}px`;
      button.style.top = `${middle}px`;
      return [button];
    });
  }

  // The chosen line and the one that is pointed at.
  ring() {
    if (!this.lines) return;
    const ink = sheet(this.over, this.width, this.height);
    const mark = this.spec.colours ? palette.ink : palette.chosen;  // apart from the colours of lines
    for (const [key, colour] of [[selected.pointed, palette.soft], [selected.chosen, mark]]) {
      const place = this.places.get(key);
      if (!place) continue;
      this.stroke(ink, place.line, palette.paper, 6);
      this.stroke(ink, place.line, colour, 3);
    }
  }

  nearest(event) {
    if (!this.lines) return null;
    const {left, top} = this.where.getBoundingClientRect();
    const [x, y] = [event.clientX - left, event.clientY - top];
    const i = this.xs.findIndex((at, place) => at <= x && (this.xs[place + 1] ?? -1) > x);
    if (i < 0) return null;
    const t = (x - this.xs[i]) / (this.xs[i + 1] - this.xs[i]);
    const eased = t * t * (3 - 2 * t);
    let best = null, least = 9;
    for (const {network, ys} of this.lines) {
      if (ys[i] === null || ys[i + 1] === null || !this.spec.lit(network)) continue;
      const far = Math.abs(ys[i] + eased * (ys[i + 1] - ys[i]) - y);
      if (far < least) [best, least] = [network, far];
    }
    return best && {...this.places.get(best.key), x, y};
  }

  // A range is drawn along an axis of numbers; a click on the axis ends it.
  grab(event) {
    const {left, top} = this.where.getBoundingClientRect();
    const i = (this.xs ?? []).findIndex((x) => Math.abs(x - (event.clientX - left)) < 12);
    this.taken = false;
    if (i < 0 || !this.all[i].share) return;
    this.drag = {axis: this.all[i], from: event.clientY - top, moved: false};
    this.list.setPointerCapture(event.pointerId);
  }

  pull(event) {
    if (!this.drag) return;
    const {top} = this.where.getBoundingClientRect();
    const [a, b] = [this.drag.from, event.clientY - top];
    if (Math.abs(a - b) < 4 && !this.drag.moved) return;
    this.drag.moved = this.taken = true;  // and the click that follows is no choice
    const {axis} = this.drag;
    const share = (y) => Math.max(0, Math.min(1, (this.box.bottom - y) / (this.box.bottom - this.box.top)));
    const range = [share(Math.max(a, b)), share(Math.min(a, b))];
    this.brush(axis.name, {values: axis.values(range), text: `${axis.title} ${range.map(axis.text).join(" to ")}`});
  }

  drop() {
    const {axis, moved} = this.drag ?? {};
    this.drag = null;
    if (!axis || moved || !this.spec.brush.has(axis.name)) return;
    this.taken = true;
    this.brush(axis.name, null);
  }
}

// How much ink a line gets: the more there are, the less.
function faint(count, least) {
  return Math.min(0.9, Math.max(least, 45 / count));
}

// "tokens.0.prune" over two or three lines.
function broken(title) {
  const parts = title.split(/\.(?!\d)/);
  return parts.flatMap((part, i) => (i ? [element("br"), part] : [part]));
}

// Results first, then the knobs: those that matter most, as many as there is room for, or all.
function axesShown(state) {
  const numeric = ["dice", ...data.costs].map(numericAxis).filter(Boolean);
  const ranked = data.importances.rows.map(({knob}) => knob);
  const place = ({name}) => (ranked.includes(name) ? ranked.indexOf(name) : ranked.length);
  const knobs = data.knobs.map(({name}, i) => ({name, i}));
  const room = Math.max(4, Math.floor((at("choices").parentElement.clientWidth - 40) / APART) - numeric.length);
  state.more = knobs.length > room;
  const chosen = state.all ? knobs : [...knobs].sort((a, b) => place(a) - place(b) || a.i - b.i).slice(0, room);
  return [...numeric, ...chosen.map(({i}) => knobAxis(i))];
}

function numericAxis(name) {
  const known = trained.map((network) => value(network, name)).filter((one) => one !== null);
  if (!known.length) return null;
  const log = name !== "dice" && spansDecades(known);
  const floor = name === "dice" ? lowest(known) : Math.min(...known);
  const [low, high] = [floor, Math.max(...known)].map((one) => (log ? Math.log10(one) : one));
  const of = (one) => (high > low ? Math.max(0, ((log ? Math.log10(one) : one) - low) / (high - low)) : 0.5);
  const share = (network) => {
    const one = value(network, name);
    return one === null ? null : of(one);
  };
  const level = (part) => (log ? 10 ** (low + part * (high - low)) : low + part * (high - low));
  const text = (part) => shown(name, level(part));
  // A range as values, for the axis may grow; what reaches its end goes on.
  const values = ([from, to]) => [from <= 0 ? null : level(from), to >= 1 ? null : level(to)];
  const shares = ([from, to]) => [from === null ? 0 : of(from), to === null ? 1 : Math.min(1, of(to))];
  const sorted = trained.map(share).filter((one) => one !== null).sort((a, b) => a - b);
  const quarter = sorted[Math.floor((name === "dice" ? 0.75 : 0.25) * (sorted.length - 1))];
  return {name, title: titleOf(name), share, values, shares, text, best: name === "dice" ? [quarter, 1] : [0, quarter],
    ends: high > low ? [[0, `${known.some((one) => one < floor) ? "≤ " : ""}${text(0)}`], [1, text(1)]]
      : [[0.5, text(0)]]};
}

function knobAxis(i) {
  const {name, options} = data.knobs[i];
  const always = trained.every((network) => network.knobs[i] >= 0);
  const shift = always ? 0 : 1;
  return {name: `knob ${name}`, title: name, labels: always ? options : ["–", ...options],
    option: (network) => network.knobs[i] + shift};
}

// Whether a network has all that is lit.
function litBy(state) {
  const rules = [...state.brush].flatMap(([name, brush]) => {
    const knob = data.knobs.findIndex((one) => `knob ${one.name}` === name);
    const axis = knob >= 0 ? knobAxis(knob) : numericAxis(name);
    if (!axis || Boolean(brush.values) !== Boolean(axis.share)) return [];
    const [low, high] = brush.values ? axis.shares(brush.values) : [];
    return brush.values ? [(network) => {
      const share = axis.share(network);
      return share !== null && share >= low - 1e-9 && share <= high + 1e-9;
    }] : [(network) => brush.options.has(axis.labels[axis.option(network)])];
  });
  const lit = new Set(trained.filter((network) => rules.every((rule) => rule(network))));
  return rules.length ? (network) => lit.has(network) : () => true;
}
