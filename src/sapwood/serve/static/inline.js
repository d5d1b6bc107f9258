// Markdown inside a block: emphasis, code, links, line breaks. Builds nodes; text never becomes markup.
// Follows CommonMark 0.31 (https://spec.commonmark.org/0.31.2/) but for raw HTML and images, which stay text and links.

const DEEPEST = 32; // nesting beyond this is written flat: a page must not die of 50,000 asterisks
const SPECIAL = /[\\`*_~[\]!<&\n]|https?:\/\//g;
const TARGET = /\(\s*(?:<([^<>\n]*)>|((?:[^\s()\\<]|\\.|\([^\s()]*\))*))(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/y;
const BARE = /https?:\/\/[^\s<>"'`]*[^\s<>"'`.,;:!?)*_~\]]/y;
const ANGLE = /<((?:https?:\/\/|mailto:)[^\s<>]*)>/y;
const BREAK = /<br\s*\/?>/iy;
const ENTITY = /&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([a-zA-Z]{2,8}));/y;
const ENTITIES = {
  amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", mdash: "—", ndash: "–", hellip: "…",
  times: "×", copy: "©", rarr: "→", larr: "←", deg: "°", middot: "·", bull: "•", le: "≤",
  ge: "≥", ne: "≠",
};
const TAGS = { "*": ["em", "strong"], _: ["em", "strong"], "~": ["del", "del"] };

/** The address of a link if it is one that a page may follow, else null. */
export function safeUrl(text) {
  try {
    const url = new URL(text.trim());
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

function match(regex, text, at) {
  regex.lastIndex = at;
  return regex.exec(text);
}

const isSpace = (char) => char === "" || /\s/u.test(char);
const isMark = (char) => /[\p{P}\p{S}]/u.test(char);

// Whether a run of * _ ~ may open or close emphasis, by what stands on both sides of it.
function delimiter(text, at) {
  const char = text[at];
  let end = at;
  while (text[end] === char) end++;
  const before = text.slice(Math.max(0, at - 1), at);
  const after = text.slice(end, end + 1);
  const left = !isSpace(after) && (!isMark(after) || isSpace(before) || isMark(before));
  const right = !isSpace(before) && (!isMark(before) || isSpace(after) || isMark(after));
  const inWord = char === "_";
  return {
    type: "run", char, count: end - at, length: end - at, opens: [], closes: [],
    canOpen: left && (!inWord || !right || isMark(before)),
    canClose: right && (!inWord || !left || isMark(after)),
  };
}

// Pairs the runs from `from` on (the algorithm at the end of CommonMark); what stays unpaired is text.
function pair(tokens, from) {
  const runs = [];
  for (let i = from; i < tokens.length; i++) if (tokens[i].type === "run" && !tokens[i].settled) runs.push(tokens[i]);
  const open = []; // runs that may still open, oldest first
  const nothing = new Map(); // for a kind of closer: how many of `open` are known not to match it
  for (const run of runs) {
    const kind = run.char + run.canOpen + (run.length % 3);
    while (run.canClose && run.count) {
      let k = open.length - 1;
      const floor = nothing.get(kind) ?? 0;
      while (k >= floor && !pairs(open[k], run)) k--;
      if (k < floor) {
        nothing.set(kind, open.length);
        break;
      }
      const opener = open[k];
      const width = opener.count >= 2 && run.count >= 2 ? 2 : 1;
      const tag = TAGS[run.char][width - 1];
      opener.opens.unshift(tag);
      run.closes.push(tag);
      opener.count -= width;
      run.count -= width;
      open.length = opener.count ? k + 1 : k;
      for (const [key, value] of nothing) if (value > open.length) nothing.set(key, open.length);
    }
    if (run.canOpen && run.count) open.push(run);
    run.settled = true;
  }
}

function pairs(opener, closer) {
  if (opener.char !== closer.char) return false;
  if (opener.char === "~") return opener.count >= 2 && closer.count >= 2;
  const odd = (opener.canClose || closer.canOpen) && (opener.length + closer.length) % 3 === 0;
  return !odd || (opener.length % 3 === 0 && closer.length % 3 === 0);
}

function tokenise(text) {
  const tokens = [];
  const brackets = []; // indices of "[" that may still begin a link
  const unclosed = new Set(); // lengths of runs of backticks that never end
  let at = 0;
  const put = (type, fields) => tokens.push({ type, ...fields });
  const say = (value) => {
    const last = tokens[tokens.length - 1];
    if (last?.type === "text") last.value += value;
    else put("text", { value });
  };
  const take = (length) => {
    say(text.slice(at, at + length));
    at += length;
  };
  while (at < text.length) {
    const next = match(SPECIAL, text, at);
    if (!next) {
      take(text.length - at);
      break;
    }
    if (next.index > at) take(next.index - at);
    const char = text[at];
    let found;
    if (char === "\\") {
      const escaped = text[at + 1];
      if (escaped === "\n") {
        put("break");
        at += 2;
      } else if (escaped && /[!-/:-@[-`{-~]/.test(escaped)) {
        say(escaped);
        at += 2;
      } else take(1);
    } else if (char === "\n") {
      const last = tokens[tokens.length - 1];
      if (last?.type === "text") last.value = last.value.replace(/ {1,8}$/, "");
      put("break");
      at++;
    } else if (char === "`") {
      let end = at;
      while (text[end] === "`") end++;
      const fence = end - at;
      let close = -1;
      if (!unclosed.has(fence)) {
        close = text.indexOf("`".repeat(fence), end);
        while (close >= 0 && text[close + fence] === "`") {
          let past = close;
          while (text[past] === "`") past++;
          close = past - close === fence ? close : text.indexOf("`".repeat(fence), past);
        }
        if (close < 0) unclosed.add(fence);
      }
      if (close < 0) take(fence);
      else {
        let value = text.slice(end, close).replaceAll("\n", " ");
        if (value.trim() && value.startsWith(" ") && value.endsWith(" ")) value = value.slice(1, -1);
        put("code", { value });
        at = close + fence;
      }
    } else if (char === "*" || char === "_" || char === "~") {
      const run = delimiter(text, at);
      tokens.push(run);
      at += run.length;
    } else if (char === "[") {
      brackets.push(tokens.length);
      put("bracket", { value: "[" });
      at++;
    } else if (char === "!") {
      if (text[at + 1] === "[") at++; // an image: the page loads none, so it becomes a link
      else take(1);
    } else if (char === "]") {
      const from = brackets.pop();
      found = from !== undefined && match(TARGET, text, at + 1);
      const href = found && safeUrl((found[1] ?? found[2]).replace(/\\([!-/:-@[-`{-~])/g, "$1"));
      if (href) {
        pair(tokens, from);
        tokens[from] = { type: "link", href };
        put("end");
        at += 1 + found[0].length;
        brackets.length = 0; // no link inside a link
      } else take(1);
    } else if (char === "<") {
      if ((found = match(ANGLE, text, at)) && safeUrl(found[1])) {
        put("link", { href: safeUrl(found[1]) });
        say(found[1]);
        put("end");
        at += found[0].length;
      } else if ((found = match(BREAK, text, at))) {
        put("break");
        at += found[0].length;
      } else take(1);
    } else if (char === "&") {
      found = match(ENTITY, text, at);
      const code = found && (found[1] ? Number(found[1]) : found[2] ? parseInt(found[2], 16) : 0);
      const numeric = code > 0 && code < 0x110000 ? String.fromCodePoint(code) : "";
      const value = found && (found[3] ? ENTITIES[found[3]] : numeric);
      if (value) {
        say(value);
        at += found[0].length;
      } else take(1);
    } else if ((found = match(BARE, text, at)) && safeUrl(trimUrl(found[0]))) {
      const url = trimUrl(found[0]);
      put("link", { href: safeUrl(url) });
      say(url);
      put("end");
      at += url.length;
    } else take(4);
  }
  pair(tokens, 0);
  return tokens;
}

// "(see https://a.b/c_(d))": a closing parenthesis belongs to the address only if it opened there.
function trimUrl(url) {
  let depth = 0;
  for (let i = 0; i < url.length; i++) {
    if (url[i] === "(") depth++;
    else if (url[i] === ")" && --depth < 0) return url.slice(0, i);
  }
  return url;
}

/** Nodes for the text of one block. */
export function inline(text) {
  const root = document.createDocumentFragment();
  const stack = [root]; // open elements; null where one was left out
  let top = root;
  let links = 0;
  const open = (element) => {
    if (element) {
      top.append(element);
      top = element;
    }
    stack.push(element);
  };
  const close = () => {
    if (stack.pop()) top = top.parentNode;
  };
  const make = (tag) => (stack.length < DEEPEST ? document.createElement(tag) : null);
  for (const token of tokenise(text)) {
    if (token.type === "text" || token.type === "bracket") top.append(token.value);
    else if (token.type === "break") top.append(document.createElement("br"));
    else if (token.type === "code") {
      const code = document.createElement("code");
      code.textContent = token.value;
      top.append(code);
    } else if (token.type === "run") {
      token.closes.forEach(close);
      if (token.count) top.append(token.char.repeat(token.count));
      token.opens.forEach((tag) => open(make(tag)));
    } else if (token.type === "link") {
      const link = links++ ? null : make("a");
      if (link) {
        link.href = token.href;
        link.rel = "noopener noreferrer nofollow";
        link.target = "_blank";
      }
      open(link);
    } else {
      links--;
      close();
    }
  }
  return root;
}
