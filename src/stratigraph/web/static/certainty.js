// What stands beside a score: its interval, what chance scores, what the same layers score across seeds.

import { score } from "./draw.js";
import { ask } from "./kit.js";

const HOVER = 150; // milliseconds a cursor rests before its interval is asked for

// Once the cursor rests, add it to the text that `live` holds by then; returns the timer.
export function addCertainty(live, text, ends, newest) {
  return setTimeout(() => newest(async (signal) => {
    try {
      const one = await ask("pair", ends, signal);
      if (live.textContent === text) live.textContent = `${text}${certainty(one)}`;
    } catch { /* the value stands without its interval */ }
  }), HOVER);
}

export function certainty(one) {
  const certain = one.certain.length ? `, certain to be from ${score(one.certain[0])} to ${score(one.certain[1])}` : "";
  const interval = one.interval ? `, 95 % interval over probes ${score(one.interval[0])} to ${score(one.interval[1])}` : "";
  const chance = one.null ? `; unrelated probes score ${score(one.null.mean)} ± ${score(one.null.sd, 4)}` : "";
  const kept = one.chance ? `; chance reaches ${score(one.chance.threshold)} once in twenty: calibrated ${score(one.chance.calibrated)}, p ${score(one.chance.p)}${one.chance.untrained === null ? "" : `; both at step 0 ${score(one.chance.untrained)}`}` : "";
  const seeds = one.across_seeds ? `; across seeds at ${one.across_seeds.when} ${score(one.across_seeds.score[0])} (${score(one.across_seeds.score[1])} to ${score(one.across_seeds.score[2])}, ${one.across_seeds.pairs} pairs)` : "";
  const unread = one.unread ? "; its interval needs the representations, which were dropped: `stratigraph extract` reads them again" : "";
  return certain + interval + unread + chance + seeds + kept + (one.reason ? `; undefined: ${one.reason}` : "");
}
