// One turn of a conversation as nodes: a person's message, or an answer with its numbers, its error and its buttons.

import { MarkdownView } from "./markdown.js";

export function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

export function button(label, action, className = "quiet") {
  const node = make("button", className, label);
  node.type = "button";
  if (action) node.dataset.do = action;
  return node;
}

export function icon(name, className) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  if (className) svg.setAttribute("class", className);
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export const count = (number) => number.toLocaleString("en-US");

function plural(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** The numbers under an answer, as [text, explanation] pairs. Times in milliseconds. */
export function figures(message) {
  const { usage, times } = message;
  const found = [];
  const tokens = usage?.completion_tokens;
  if (tokens !== undefined) found.push([plural(tokens, "token"), "Tokens of this answer"]);
  if (times?.first !== undefined) {
    const seconds = (times.last - times.first) / 1000;
    if (tokens > 1 && seconds > 0) {
      const rate = (tokens - 1) / seconds;
      const shown = rate < 100 ? rate.toFixed(1) : count(Math.round(rate));
      found.push([`${shown} tokens/s`, "Tokens a second after the first"]);
    }
    found.push([`first after ${(times.first / 1000).toFixed(2)} s`, "Time to the first token"]);
  }
  if (usage?.prompt_tokens !== undefined) {
    const cached = usage.prompt_tokens_details?.cached_tokens;
    const part = cached ? `, ${count(cached)} cached` : "";
    const title = "Tokens of the prompt, and how many of them the prefix cache held";
    found.push([`prompt ${count(usage.prompt_tokens)}${part}`, title]);
  }
  return found;
}

const TITLES = {
  auth: "An API key is needed",
  busy: "The server is busy",
  unavailable: "The engine is not ready",
  invalid: "The request was refused",
  server: "The server failed",
  network: "No connection",
  lost: "The answer was cut off",
};

const THINK = "<think>";
const THOUGHT = "</think>";
const CUT = ["cut at the token limit", "It reached max_tokens or the end of the context"];

/** An answer of `message`, which is read again at each update: {content, pending?, stopped?, finish?, error?, ...}. */
export class AnswerView {
  constructor(message, format) {
    this.message = message;
    this.format = format;
    this.prose = make("div", "prose");
    this.note = make("div", "note");
    this.note.hidden = true;
    this.stats = make("p", "stats");
    this.actions = make("div", "actions", button("Copy", "copy"), button("Retry", "retry"));
    const column = make("div", "column", this.prose, this.note, make("footer", "", this.stats, this.actions));
    const heading = make("h2", "unseen", message.model || "Assistant");
    this.root = make("article", "turn answer", heading, icon("rings", "rings"), column);
    this.parts = new Map(); // "thought" and "answer": their MarkdownView or text node
    this.update();
  }

  part(name, root) {
    const plain = () => root.appendChild(document.createTextNode(""));
    const view = this.format === "markdown" ? new MarkdownView(root) : plain();
    this.parts.set(name, view);
    return view;
  }

  show(name, text, makeRoot) {
    const view = this.parts.get(name) || (text && this.part(name, makeRoot()));
    if (!view) return;
    if (view instanceof MarkdownView) view.update(text);
    else if (text.startsWith(view.data)) view.appendData(text.slice(view.data.length));
    else view.data = text;
  }

  update() {
    const { message } = this;
    let text = message.content;
    // Reasoning models open with what they thought.
    const start = text.trimStart();
    if (start.startsWith(THINK)) {
      const end = start.indexOf(THOUGHT);
      const thought = start.slice(THINK.length, end < 0 ? undefined : end).trim();
      text = end < 0 ? "" : start.slice(end + THOUGHT.length).trimStart();
      this.show("thought", thought, () => {
        const body = make("div", "thought-body");
        this.thought = make("details", "thought", make("summary", "", "Thinking"), body);
        this.thought.open = end < 0;
        this.prose.before(this.thought);
        return body;
      });
      if (end >= 0 && this.thinking) this.thought.open = false;
      this.thinking = end < 0;
    }
    this.show("answer", text, () => {
      this.prose.classList.toggle("plain", this.format !== "markdown");
      return this.prose;
    });
    this.root.classList.toggle("pending", Boolean(message.pending));
    this.root.ariaBusy = message.pending ? "true" : "false";
    this.actions.hidden = Boolean(message.pending);
    this.status();
  }

  // What is said below the text; redone only when it changed.
  status() {
    const { message } = this;
    const { pending, error, stopped, finish, usage, times } = message;
    const key = JSON.stringify(pending ? pending : [error, stopped, finish, usage, times]);
    if (key === this.shown) return;
    this.shown = key;
    const lines = message.pending ? [] : figures(message);
    if (message.stopped) lines.unshift(["stopped", "You stopped this answer"]);
    if (message.finish === "length" && !message.pending) lines.unshift(CUT);
    this.stats.replaceChildren(...lines.flatMap(([text, title], i) => {
      const part = make("span", "", text);
      part.title = title;
      return i ? [" · ", part] : [part];
    }));
    this.note.hidden = !message.error;
    clearInterval(this.timer);
    if (message.error) this.fail(message.error);
  }

  fail(error) {
    const wait = make("span", "wait");
    const retry = button("Retry", "retry", "primary");
    this.note.replaceChildren(make("div", "", make("strong", "", TITLES[error.kind] || TITLES.server),
      make("p", "", error.message), wait), retry);
    this.note.dataset.kind = error.kind;
    const tick = () => {
      const seconds = Math.ceil((error.retryAt - Date.now()) / 1000);
      wait.textContent = seconds > 0 ? `It asks to wait ${plural(seconds, "second")}.` : "";
      if (seconds <= 0) clearInterval(this.timer);
    };
    if (error.retryAt) {
      tick();
      this.timer = setInterval(tick, 1000);
    }
  }
}

/** A person's message. */
export function userTurn(message) {
  return make("article", "turn user", make("h2", "unseen", "You"), make("div", "said", message.content),
    make("div", "actions", button("Copy", "copy"), button("Edit", "edit")));
}

/** A message being edited, in the place of its text. */
export function editor(text) {
  const field = make("textarea");
  field.value = text;
  field.ariaLabel = "Edit the message";
  const buttons = make("div", "row", button("Cancel", "cancel"), make("button", "primary", "Send"));
  const form = make("form", "editor", field, buttons);
  return { form, field };
}
