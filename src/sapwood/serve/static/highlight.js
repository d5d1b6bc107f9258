// Modest syntax colouring, one line at a time, so that a growing block of code never has its finished lines redone.

const words = (text) => new Set(text.split(" "));

const C_KEYWORDS =
  "break case catch class const continue default delete do else enum export extends final finally for if import in " +
  "interface new override package private protected public return static super switch this throw throws try typedef " +
  "typeof union unsigned using var void volatile while async await yield let function of instanceof get set struct " +
  "namespace template typename virtual explicit inline constexpr auto bool char int long short float double signed " +
  "sizeof goto extern operator friend abstract implements readonly type declare as from boolean string number byte " +
  "foreach out ref internal sealed record where fn impl mut pub use mod match trait dyn unsafe loop crate move " +
  "self func go defer chan map range fallthrough val fun when object companion guard protocol extension init";

const CONSTANTS = words("true false null undefined None True False nil NULL nullptr NaN Infinity");
const STRING = String.raw`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'`;
const C = { keywords: words(C_KEYWORDS), comment: "//.*", spans: { "/*": "*/", "`": "`" } };
const PYTHON = {
  keywords: words(
    "and as assert async await break case class continue def del elif else except finally for from global if import " +
      "in is lambda match nonlocal not or pass raise return try while with yield self cls",
  ),
  comment: "#.*",
  spans: { '"""': '"""', "'''": "'''" },
  special: String.raw`@[\w.]+`,
};
const SHELL = {
  keywords: words(
    "if then else elif fi for in do done while until case esac function return export local set unset source echo cd " +
      "exit sudo select time trap",
  ),
  comment: String.raw`(?<![^\s;])#.*`,
  special: String.raw`\$\w+|\$\{[^}]*\}|(?<=\s)--?[\w-]+`,
};
const SQL = {
  keywords: words(
    "select from where and or not insert into values update set delete create table index view drop alter add " +
      "primary key foreign references join left right inner outer full on as group by order having limit offset distinct " +
      "union all case when then else end is in like between exists with returning default unique begin commit",
  ),
  comment: "--.*",
  spans: { "/*": "*/" },
  fold: true,
};
const MARKUP = { spans: { "<!--": "-->" }, keyword: String.raw`</?[\w:-]+|/?>`, special: String.raw`[\w:-]+(?==)` };
const CSS = { spans: { "/*": "*/" }, keyword: String.raw`@[\w-]+`, special: String.raw`[\w-]+(?=\s*:)` };
const DATA = {
  comment: String.raw`(?<!\S)[#;].*`,
  special: String.raw`"(?:[^"\\]|\\.)*"(?=\s*:)|[\w.-]+(?=\s*[:=](?:\s|$))|^\[.*\]`,
};
const DIFF = { whole: { "+": "s", "-": "d", "@": "k" } };

const LANGUAGES = {
  python: PYTHON, py: PYTHON, python3: PYTHON, mojo: PYTHON,
  javascript: C, js: C, jsx: C, typescript: C, ts: C, tsx: C, c: C, cpp: C, "c++": C, h: C, cuda: C, java: C,
  csharp: C, cs: C, go: C, golang: C, rust: C, rs: C, kotlin: C, swift: C, scala: C, php: C, dart: C, zig: C,
  bash: SHELL, sh: SHELL, shell: SHELL, zsh: SHELL, console: SHELL, dockerfile: SHELL, makefile: SHELL,
  sql: SQL, html: MARKUP, xml: MARKUP, svg: MARKUP, css: CSS, scss: CSS,
  json: DATA, jsonc: DATA, yaml: DATA, yml: DATA, toml: DATA, ini: DATA, diff: DIFF, patch: DIFF,
};

const LONGEST = 2000; // characters; longer lines are data, and stay plain
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

// One alternation per language; the number of the group that matched says what it is.
function grammar(language) {
  if (language.regex) return language.regex;
  const none = "(?!)";
  const spans = Object.keys(language.spans || {}).map(escaped).join("|") || none;
  language.regex = new RegExp(
    `(${spans})|(${language.comment || none})|(${language.special || none})|(${language.keyword || none})|` +
      `(${STRING})|` +
      String.raw`((?<![\w$])(?:0[xXbBoO][\da-fA-F_]+|\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)\w*)|([A-Za-z_$][\w$]*)`,
    "g",
  );
  return language.regex;
}

function wordClass(language, word, line, end) {
  if (CONSTANTS.has(word)) return "n";
  if (language.keywords?.has(language.fold ? word.toLowerCase() : word)) return "k";
  return language.keywords && line[end] === "(" ? "f" : "";
}

/** The nodes of one line, and the state that the next begins in: "", or what closes an open string or comment. */
export function highlightLine(name, line, state) {
  const language = LANGUAGES[name];
  if (!language || line.length > LONGEST) return { nodes: [line], state };
  const nodes = [];
  let plain = "";
  const put = (kind, text) => {
    if (!kind) {
      plain += text;
      return;
    }
    if (plain) nodes.push(plain);
    plain = "";
    const span = document.createElement("span");
    span.className = `t-${kind}`;
    span.textContent = text;
    nodes.push(span);
  };
  if (language.whole) {
    put(language.whole[line[0]], line);
    if (plain) nodes.push(plain);
    return { nodes, state };
  }
  let at = 0;
  // The rest of a string or comment that is open; escapes count in strings only.
  const close = (from) => {
    const end = line.indexOf(state, from);
    const stop = end < 0 ? line.length : end + state.length;
    put(state === "*/" || state === "-->" ? "c" : "s", line.slice(at, stop));
    at = stop;
    if (end >= 0) state = "";
  };
  if (state) close(0);
  const regex = grammar(language);
  while (at < line.length && !state) {
    regex.lastIndex = at;
    const match = regex.exec(line);
    if (!match) break;
    put("", line.slice(at, match.index));
    at = match.index;
    const end = at + match[0].length;
    if (match[1]) {
      state = language.spans[match[1]];
      close(end);
      continue;
    }
    const kind = match[2] ? "c" : match[3] ? "a" : match[4] ? "k" : match[5] ? "s" : match[6] ? "n" : "";
    put(kind || wordClass(language, match[0], line, end), match[0]);
    at = end;
  }
  put("", line.slice(at));
  if (plain) nodes.push(plain);
  return { nodes, state };
}
