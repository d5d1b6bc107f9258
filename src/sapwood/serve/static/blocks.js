// Markdown's blocks: lines in, a list of blocks out. Each is plain data; markdown.js turns it into nodes.
// Follows CommonMark and GitHub's tables where models write them; text is cut into lines once and scanned once.

const FENCE = /^( {0,3})(`{3,}|~{3,})(.*)$/;
const HEADING = /^ {0,3}(#{1,6})(?=[ \t]|$)/;
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?=[ \t]|$)/;
const UNDERLINE = /^ {0,3}(=+|-+)[ \t]*$/;
const DELIMITERS = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const TASK = /^\[([ xX])\][ \t]+/;

const isBlank = (line) => line.trim() === "";

function indentOf(line) {
  let width = 0;
  for (const char of line) {
    if (char === " ") width++;
    else if (char === "\t") width += 4 - (width % 4);
    else break;
  }
  return width;
}

// The line without `width` columns of its indent, or without all of it if it has less.
function outdent(line, width) {
  let column = 0;
  let at = 0;
  while (at < line.length && column < width && (line[at] === " " || line[at] === "\t")) {
    column += line[at] === " " ? 1 : 4 - (column % 4);
    at++;
  }
  return " ".repeat(Math.max(0, column - width)) + line.slice(at);
}

function isFence(line) {
  const found = FENCE.exec(line);
  return found && !(found[2][0] === "`" && found[3].includes("`")) ? found : null;
}

// Whether a line ends the paragraph before it.
function interrupts(line) {
  if (HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || isFence(line)) return true;
  const item = ITEM.exec(line);
  return item !== null && !isBlank(line.slice(item[0].length)) && (item[2].length === 1 || /^1[.)]$/.test(item[2]));
}

function fence(lines, at) {
  const found = isFence(lines[at]);
  if (!found) return null;
  const [, indent, marks, info] = found;
  const closing = new RegExp(`^ {0,3}${marks[0]}{${marks.length},}[ \\t]*$`);
  let to = at + 1;
  while (to < lines.length && !closing.test(lines[to])) to++;
  const body = lines.slice(at + 1, to);
  const language = info.trim().split(/[\s{:,]/)[0].toLowerCase();
  return {
    type: "code", language, to: Math.min(to + 1, lines.length),
    text: (indent ? body.map((line) => outdent(line, indent.length)) : body).join("\n"),
  };
}

function heading(lines, at) {
  const found = HEADING.exec(lines[at]);
  if (!found) return null;
  let text = lines[at].slice(found[0].length).trim();
  const end = text.length - (/#+$/.exec(text.slice(-200))?.[0].length ?? 0);
  if (end === 0 || text[end - 1] === " " || text[end - 1] === "\t") text = text.slice(0, end).trim();
  return { type: "heading", level: found[1].length, text, to: at + 1 };
}

function quote(lines, at) {
  if (!QUOTE.test(lines[at])) return null;
  const inner = [];
  let to = at;
  for (; to < lines.length; to++) {
    const marked = QUOTE.exec(lines[to]);
    const lazy = !marked && !isBlank(lines[to]) && !isBlank(lines[to - 1].replace(QUOTE, "")) && !interrupts(lines[to]);
    if (!marked && !lazy) break;
    inner.push(marked ? lines[to].slice(marked[0].length) : lines[to]);
  }
  return { type: "quote", lines: inner, to };
}

function list(lines, at) {
  const first = ITEM.exec(lines[at]);
  if (!first) return null;
  const kind = first[2].slice(-1);
  const ordered = first[2].length > 1;
  const margin = first[1].length;
  const items = [];
  let loose = false;
  let item = null;
  let blanks = 0;
  let to = at;
  for (let i = at; i < lines.length; i++) {
    const line = lines[i];
    if (isBlank(line)) {
      blanks++;
      continue;
    }
    const indent = indentOf(line);
    const found = indent < margin + 2 && !RULE.test(line) ? ITEM.exec(line) : null;
    if (found && found[2].slice(-1) === kind && found[2].length > 1 === ordered) {
      loose ||= blanks > 0 && items.length > 0;
      const content = line.slice(found[0].length);
      const space = indentOf(content);
      const width = isBlank(content) || space > 4 ? 1 : space;
      // Models often nest by two columns where the standard asks for the width of the marker.
      item = { type: "item", width: found[0].length + width, lines: [outdent(content, width)] };
      items.push(item);
    } else if (item && indent >= Math.min(item.width, margin + 2)) {
      for (; blanks; blanks--) item.lines.push("");
      item.lines.push(outdent(line, item.width));
    } else if (item && !blanks && !interrupts(line)) {
      item.lines.push(line.trimStart());
    } else break;
    blanks = 0;
    to = i + 1;
  }
  if (!items.length) return null;
  for (const each of items) {
    const task = TASK.exec(each.lines[0]);
    if (task) {
      each.checked = task[1] !== " ";
      each.lines[0] = each.lines[0].slice(task[0].length);
    }
  }
  return { type: ordered ? "ordered" : "bullets", start: ordered ? parseInt(first[2], 10) : 1, items, loose, to };
}

function cells(line) {
  let text = line.trim();
  if (text.startsWith("|")) text = text.slice(1);
  const found = [""];
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "\\" && text[i + 1] === "|") found[found.length - 1] += text[++i];
    else if (text[i] === "|") found.push("");
    else found[found.length - 1] += text[i];
  }
  if (found.length > 1 && isBlank(found[found.length - 1])) found.pop();
  return found.map((cell) => cell.trim());
}

function table(lines, at) {
  if (at + 1 >= lines.length || !lines[at].includes("|") || !lines[at + 1].includes("-")) return null;
  if (!DELIMITERS.test(lines[at + 1])) return null;
  const head = cells(lines[at]);
  const marks = cells(lines[at + 1]);
  if (marks.length !== head.length) return null;
  const align = marks.map((mark) =>
    mark.endsWith(":") ? (mark.startsWith(":") ? "center" : "right") : mark.startsWith(":") ? "left" : "",
  );
  let to = at + 2;
  while (to < lines.length && !isBlank(lines[to]) && !interrupts(lines[to])) to++;
  return { type: "table", head, align, rows: lines.slice(at + 2, to), to };
}

function indented(lines, at) {
  if (indentOf(lines[at]) < 4) return null;
  let to = at + 1;
  for (let i = to; i < lines.length && (isBlank(lines[i]) || indentOf(lines[i]) >= 4); i++) {
    if (!isBlank(lines[i])) to = i + 1;
  }
  return { type: "code", language: "", text: lines.slice(at, to).map((line) => outdent(line, 4)).join("\n"), to };
}

function paragraph(lines, at) {
  let to = at + 1;
  for (; to < lines.length && !isBlank(lines[to]); to++) {
    const underline = UNDERLINE.exec(lines[to]);
    if (underline && (underline[1][0] === "=" || underline[1].length > 2)) {
      const text = lines.slice(at, to).map((line) => line.trimStart()).join("\n");
      return { type: "heading", level: underline[1][0] === "=" ? 1 : 2, text, to: to + 1 };
    }
    if (interrupts(lines[to]) || table(lines, to)) break;
  }
  const text = lines.slice(at, to).map((line) => line.trimStart()).join("\n").trimEnd();
  return { type: "paragraph", text, to };
}

/** The cells of one row of a table, as many as the table has columns. */
export function rowCells(line, columns) {
  const found = cells(line).slice(0, columns);
  while (found.length < columns) found.push("");
  return found;
}

/** The blocks of some lines, each with the lines that it covers: {type, from, to, ...}. flat: only paragraphs. */
export function parseBlocks(lines, flat = false) {
  const blocks = [];
  for (let at = 0; at < lines.length; ) {
    if (isBlank(lines[at])) {
      at++;
      continue;
    }
    let block = null;
    if (!flat) {
      block = fence(lines, at) || heading(lines, at) || quote(lines, at);
      block ||= RULE.test(lines[at]) ? { type: "rule", to: at + 1 } : null;
      block ||= list(lines, at) || table(lines, at) || indented(lines, at);
    }
    block ||= paragraph(lines, at);
    block.from = at;
    blocks.push(block);
    at = block.to;
  }
  return blocks;
}
