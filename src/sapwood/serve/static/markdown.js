// Markdown as a growing document: text is appended, and only nodes that it changes are touched.
//
// At the top level every block but the last is final, so each update parses from the start of the last one. Inside it
// a node stays while its source stays; a block of code only gets the lines that are new.

import { parseBlocks, rowCells } from "./blocks.js";
import { highlightLine } from "./highlight.js";
import { inline } from "./inline.js";

const DEEPEST = 12; // quotes and lists within each other
const CHUNK = 64; // lines of code that are laid out together

const made = new WeakMap(); // node -> {key, type, ...}: what it was made from

function element(tag, className = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

// What a block looks like is decided by its key alone.
function keyOf(block) {
  switch (block.type) {
    case "code": return `${block.language}\n${block.text}`;
    case "heading": return `${block.level}${block.text}`;
    case "quote": return block.lines.join("\n");
    case "item": return `${block.checked}\n${block.lines.join("\n")}`;
    case "ordered": case "bullets":
      return `${block.start}${block.loose}\n${block.items.map(keyOf).join("\n\0")}`;
    case "table": return [block.head.join("|"), block.align.join("|"), ...block.rows].join("\n");
    case "row": return block.line;
    default: return block.text ?? "";
  }
}

function code(node, block) {
  let state = node && made.get(node);
  const lines = block.text.split("\n");
  if (!state || state.language !== block.language || !block.text.startsWith(state.done)) {
    const body = element("code");
    const copy = element("button", "copy", "Copy");
    copy.type = "button";
    const head = element("div", "code-head", element("span", "", block.language || "text"), copy);
    node = element("div", "code", head, element("pre", "", body));
    state = { language: block.language, body, done: "", count: 0, open: "", last: [] };
    made.set(node, state);
  }
  for (const each of state.last) each.remove();
  const { body } = state;
  const chunk = (line) => {
    if (body.childNodes.length * CHUNK <= line) body.append(element("span", "chunk"));
    return body.lastChild;
  };
  for (; state.count < lines.length - 1; state.count++) {
    const line = highlightLine(block.language, lines[state.count], state.open);
    chunk(state.count).append(...line.nodes, "\n");
    state.open = line.state;
    state.done += `${lines[state.count]}\n`;
  }
  const { nodes } = highlightLine(block.language, lines[state.count], state.open);
  state.last = nodes.map((each) => (typeof each === "string" ? document.createTextNode(each) : each));
  chunk(state.count).append(...state.last);
  return node;
}

function row(block) {
  const line = element("tr");
  rowCells(block.line, block.align.length).forEach((text, i) => {
    line.append(element("td", block.align[i] && `to-${block.align[i]}`, inline(text)));
  });
  return line;
}

function table(node, block) {
  const head = `${block.head.join("|")}\n${block.align.join("|")}`;
  if (!node || made.get(node).head !== head) {
    const titles = element("tr");
    block.head.forEach((text, i) => {
      const cell = element("th", block.align[i] && `to-${block.align[i]}`, inline(text));
      cell.scope = "col";
      titles.append(cell);
    });
    const body = element("tbody");
    node = element("div", "table", element("table", "", element("thead", "", titles), body));
    made.set(node, { head, body });
  }
  reconcile(made.get(node).body, block.rows.map((line) => ({ type: "row", line, align: block.align })), 0, 0);
  return node;
}

function item(node, block, depth) {
  if (!node || made.get(node).checked !== block.checked) {
    node = element("li");
    if (block.checked !== undefined) {
      const box = element("input");
      box.type = "checkbox";
      box.checked = block.checked;
      box.disabled = true;
      node.className = "task";
      node.append(box);
    }
    made.set(node, { checked: block.checked });
  }
  reconcile(node, parseBlocks(block.lines, depth >= DEEPEST), block.checked === undefined ? 0 : 1, depth + 1);
  return node;
}

// The node for a block: `node`, which was made for an earlier state of it, brought up to date, or a new one.
function build(node, block, depth) {
  switch (block.type) {
    case "code": return code(node, block);
    case "table": return table(node, block);
    case "row": return row(block);
    case "item": return item(node, block, depth);
    case "rule": return element("hr");
    case "quote":
      node ||= element("blockquote");
      reconcile(node, parseBlocks(block.lines, depth >= DEEPEST), 0, depth + 1);
      return node;
    case "ordered": case "bullets":
      node ||= element(block.type === "ordered" ? "ol" : "ul");
      if (block.type === "ordered") node.start = block.start;
      node.className = block.loose ? "loose" : "";
      reconcile(node, block.items, 0, depth);
      return node;
    default:
      node ||= element(block.type === "heading" ? `h${Math.min(6, block.level + 2)}` : "p");
      if (block.type === "heading") node.className = `h${block.level}`;
      node.replaceChildren(inline(block.text));
      return node;
  }
}

// A heading of another level is another element.
const typeOf = (block) => (block.type === "heading" ? `heading${block.level}` : block.type);

// Makes the children of `parent` from number `base` on what `blocks` say, keeping those that are unchanged.
function reconcile(parent, blocks, base, depth) {
  blocks.forEach((block, i) => {
    const old = parent.childNodes[base + i];
    const before = old && made.get(old);
    const type = typeOf(block);
    const key = keyOf(block);
    if (before?.type === type && before.key === key) return;
    const node = build(before?.type === type ? old : null, block, depth);
    made.set(node, Object.assign(made.get(node) || {}, { type, key }));
    if (!old) parent.append(node);
    else if (node !== old) old.replaceWith(node);
  });
  while (parent.childNodes.length > base + blocks.length) parent.lastChild.remove();
}

/** A document in `root`, which it owns. */
export class MarkdownView {
  constructor(root) {
    this.root = root;
    this.text = "";
    this.from = 0; // where the text begins whose blocks may still change
    this.base = 0; // how many nodes stand before them
  }

  /** Shows `text`. Costs what is new if it only grew. */
  update(text) {
    text = text.replaceAll("\r\n", "\n").replaceAll("\0", "\ufffd");
    if (!text.startsWith(this.text)) this.from = this.base = 0;
    this.text = text;
    const lines = text.slice(this.from).split("\n");
    const blocks = parseBlocks(lines);
    reconcile(this.root, blocks, this.base, 0);
    // A line that is still being written may yet join the block before it: "2" becomes "2. an item".
    let open = blocks.length - 1;
    if (open > 0 && blocks[open].from === lines.length - 1) open--;
    if (open <= 0) return;
    let line = 0;
    for (; line < blocks[open].from; line++) this.from += lines[line].length + 1;
    this.base += open;
  }
}
