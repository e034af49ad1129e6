// Axes: from values to a share of their length, with round numbers on them.

// About so many round numbers within a range.
function roundNumbers([low, high], about = 5) {
  const rough = (high - low) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((times) => times * power >= rough * 0.999);
  const first = Math.ceil(low / step);
  return Array.from({length: Math.max(0, Math.floor(high / step) - first + 1)},
    (_, i) => Number(((first + i) * step).toPrecision(12)));
}

// Powers of ten within a range of logarithms, with twice and five times each where they are few.
// Bytes have powers of two.
function roundPowers([low, high], base) {
  if (base === 1024) {
    const [first, last] = [Math.ceil(low / Math.log10(2)), Math.floor(high / Math.log10(2))];
    const step = Math.max(1, Math.ceil((last - first) / 6));
    return Array.from({length: Math.max(0, Math.floor((last - first) / step) + 1)},
      (_, i) => 2 ** (first + i * step));
  }
  const steps = high - low > 2.2 ? [1] : [1, 2, 5];
  const powers = Array.from({length: Math.ceil(high - low) + 1}, (_, i) => Math.floor(low) + i);
  return powers.flatMap((power) => steps.map((step) => step * 10 ** power))
    .filter((tick) => Math.log10(tick) >= low && Math.log10(tick) <= high);
}

// Known values that span enough to be read better by their logarithm.
function spansDecades(numbers) {
  return numbers.length > 0 && Math.min(...numbers) > 0
    && Math.max(...numbers) >= 5 * Math.min(...numbers);
}

// An axis of known values of that objective: by the logarithm where that helps.
// `to`: the share of the axis, from 0 to 1, at which a value is.
function scale(name, numbers) {
  const {maximised, prefixes, title, meaning, unit} = data.formats[name];
  const words = meaning && meaning !== title ? `${title} · ${meaning}` : title;
  if (!numbers.length) return {name, title, words, ticks: [], range: [0, 1], to: () => 0.5};
  const log = !maximised && spansDecades(numbers);
  const ends = [Math.min(...numbers), Math.max(...numbers)];
  const [low, high] = log ? ends.map(Math.log10) : ends;
  const pad = (high - low || Math.abs(high) * 0.1 || 1) * 0.08;
  const range = [low - pad, high + pad];
  const [size, prefix] = prefixes.find(([size]) => high >= size && !maximised) ?? [1, ""];
  const base = prefixes[0]?.[0] === 2 ** 30 ? 1024 : 1000;
  const ticks = log ? roundPowers(range, base)
    : roundNumbers(range.map((end) => end / size)).map((tick) => tick * size);
  const digits = Math.min(5, Math.max(2, Math.ceil(-Math.log10(ticks[1] - ticks[0] || 1) - 1e-9)));
  // Round numbers may lie nearer to each other than three digits tell apart.
  const inFull = (tick) => `${Number((tick / size).toPrecision(6))} ${prefix}${unit}`.trim();
  const text = (tick) => (maximised ? tick.toFixed(digits) : log ? shown(name, tick) : inFull(tick));
  return {name, title, words, range, log,
    to: (value) => ((log ? Math.log10(value) : value) - range[0]) / (range[1] - range[0]),
    ticks: ticks.filter((tick) => maximised || tick > 0).map((tick) => ({at: tick, text: text(tick)}))};
}

// An axis of options side by side.
function optionScale(title, labels) {
  return {title, words: title, range: [-0.5, labels.length - 0.5], bare: true,
    to: (place) => (place + 0.5) / labels.length,
    ticks: labels.map((text, place) => ({at: place, text}))};
}
