// The page: conversations, the one that is open, requests in flight, keys and panels.

import { ApiError, listModels, streamChat } from "./api.js";
import { addFields, requestMessages, requestParams } from "./params.js";
import * as store from "./store.js";
import { AnswerView, button, count, editor, icon, make, userTurn } from "./view.js";

const $ = (id) => document.getElementById(id);
const settings = store.loadSettings();
const runs = new Map(); // conversation id -> {conversation, message, abort, view}; answers go on when another is open
let conversations = store.listConversations();
let current = null; // the open conversation
let turns = []; // for each of its messages: {root, view?}
let models = [];
let key = store.tab.get("key");
let pinned = true; // the view follows the answer

const narrow = matchMedia("(max-width: 60rem)");
const touch = matchMedia("(pointer: coarse)");
const modelId = () => (models.some((each) => each.id === settings.model) ? settings.model : models[0]?.id);
const titleOf = (conversation) => conversation.title || "New conversation";
const announce = (text) => ($("announce").textContent = text);

// ---- The list of conversations

function drawList() {
  const focused = $("conversations").contains(document.activeElement) && document.activeElement;
  const rows = conversations.map((each) => {
    const open = button(titleOf(each), "open", "open");
    const remove = button("", "remove", "icon-button");
    remove.ariaLabel = `Delete ${titleOf(each)}`;
    remove.append(icon("close"));
    const row = make("li", "", open, remove);
    row.dataset.id = each.id;
    if (each.id === current.id) open.ariaCurrent = "page";
    if (runs.has(each.id)) row.classList.add("running");
    return row;
  });
  $("conversations").replaceChildren(...rows);
  if (focused) {
    const row = rows.find((each) => each.dataset.id === focused.closest("li").dataset.id);
    row?.querySelector(`[data-do=${focused.dataset.do}]`).focus();
  }
  $("title").textContent = titleOf(current);
  document.title = current.title ? `${current.title} · Sapwood` : "Sapwood";
}

function save(conversation) {
  if (!conversation.messages.length || conversation.removed) return;
  const { kept, removed } = store.saveConversation(conversation);
  if (removed) conversations = store.listConversations();
  conversations = [conversation, ...conversations.filter((each) => each.id !== conversation.id)];
  conversations.sort((a, b) => b.updated - a.updated);
  if (removed) toast(`Storage is full: ${removed} of the oldest conversations made room.`);
  else if (!kept && !save.warned) toast("This browser does not keep this conversation: its storage is full or closed.");
  save.warned = !kept;
  drawList();
}

function open(conversation) {
  current = runs.get(conversation.id)?.conversation ?? conversation;
  store.tab.set("current", current.id);
  $("system").value = current.system;
  pinned = true;
  draw();
  drawList();
}

function startNew() {
  open(store.newConversation(settings.system));
  if (narrow.matches) show("sidebar", false);
  $("input").focus();
}

function remove(conversation) {
  stop(conversation.id);
  conversation.removed = true;
  store.removeConversation(conversation.id);
  conversations = conversations.filter((each) => each.id !== conversation.id);
  if (conversation.id === current.id) open(store.newConversation(settings.system));
  else drawList();
  toast("Conversation deleted.", "Undo", () => {
    delete conversation.removed;
    save(conversation);
    open(conversation);
  });
}

function rename() {
  $("title").hidden = true;
  $("rename").hidden = false;
  $("rename").value = titleOf(current);
  $("rename").select();
}

function renamed(keep) {
  if ($("rename").hidden) return;
  $("rename").hidden = true;
  $("title").hidden = false;
  const title = $("rename").value.trim();
  if (!keep || !title) return;
  current.title = title;
  save(current);
  drawList();
}

function download(text, type, extension) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  const name = titleOf(current).replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60).replace(/^-|-$/g, "");
  link.download = `${name || "conversation"}.${extension}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const MENU = {
  rename,
  markdown: () => download(store.toMarkdown(current), "text/markdown", "md"),
  // The body of a request that would go on from here.
  json: () => {
    const body = { model: modelId(), ...requestParams(settings.params), messages: requestMessages(current) };
    download(JSON.stringify(body, null, 2), "application/json", "json");
  },
  delete: () => remove(current),
};

// ---- The open conversation

function turnOf(message) {
  if (message.role === "user") return { root: userTurn(message) };
  const view = new AnswerView(message, settings.format);
  return { root: view.root, view };
}

function draw() {
  turns = current.messages.map(turnOf);
  $("log").replaceChildren(...turns.map((turn) => turn.root));
  const run = runs.get(current.id);
  const index = current.messages.indexOf(run?.message);
  if (index >= 0) run.view = turns[index].view;
  drawState();
  follow(true);
}

// What depends on whether an answer is being written, and on what was said so far.
function drawState() {
  const running = runs.has(current.id);
  $("empty").hidden = current.messages.length > 0;
  $("send").ariaLabel = running ? "Stop" : "Send";
  $("send").firstElementChild.firstElementChild.setAttribute("href", running ? "#i-stop" : "#i-up");
  $("send").disabled = !running && !$("input").value.trim();
  const last = current.messages.findLast((each) => each.usage)?.usage;
  const limit = models.find((each) => each.id === modelId())?.max_model_len;
  const used = last && last.prompt_tokens + last.completion_tokens;
  $("context").textContent = used && limit ? `${count(used)} of ${count(limit)} tokens` : "";
}

function follow(force) {
  if (force) pinned = true;
  if (pinned) $("scroll").scrollTop = $("scroll").scrollHeight;
  $("latest").hidden = pinned;
}

let scrolled = 0;
function onScroll() {
  const { scrollTop, scrollHeight, clientHeight } = $("scroll");
  if (scrollHeight - scrollTop - clientHeight < 32) pinned = true;
  else if (scrollTop < scrolled) pinned = false; // only a person scrolls up
  scrolled = scrollTop;
  $("latest").hidden = pinned || !current.messages.length;
}

function send(text) {
  if (!text.trim() || runs.has(current.id)) return;
  if (!current.title) current.title = text.trim().split("\n")[0].slice(0, 80);
  add({ role: "user", content: text.trim() });
  generate();
}

function add(message) {
  current.messages.push(message);
  const turn = turnOf(message);
  turns.push(turn);
  $("log").append(turn.root);
  return turn;
}

// Takes back every message from number `from` on.
function cut(from) {
  current.messages.length = from;
  for (const turn of turns.splice(from)) turn.root.remove();
}

// ---- One answer

async function generate() {
  const conversation = current;
  const body = {
    model: modelId() ?? settings.model ?? "",
    messages: requestMessages(conversation),
    ...requestParams(settings.params),
    stream: true,
    stream_options: { include_usage: true },
  };
  const message = { role: "assistant", content: "", model: body.model, pending: true };
  const run = { conversation, message, abort: new AbortController(), view: null };
  runs.set(conversation.id, run);
  conversation.updated = Date.now();
  run.view = add(message).view;
  $("notice").hidden = true;
  drawState();
  follow(true);
  save(conversation);
  announce("Writing an answer");
  const start = performance.now();
  let saved = start;
  try {
    for await (const chunk of streamChat(body, key, run.abort.signal)) {
      const choice = chunk.choices?.[0];
      if (choice?.delta?.content) {
        message.times ??= { first: performance.now() - start };
        message.times.last = performance.now() - start;
        message.content += choice.delta.content;
        paint(run);
      }
      if (choice?.finish_reason) message.finish = choice.finish_reason;
      if (chunk.usage) message.usage = chunk.usage;
      if (chunk.model) message.model = chunk.model;
      if (performance.now() - saved > 2000) {
        saved = performance.now();
        store.saveConversation(conversation);
      }
    }
  } catch (error) {
    if (run.abort.signal.aborted) message.stopped = true;
    else message.error = describe(error);
  }
  delete message.pending;
  runs.delete(conversation.id);
  conversation.updated = Date.now();
  save(conversation);
  drawList();
  paintNow(run);
  if (conversation !== current) return;
  drawState();
  const words = message.content.trim().split(/\s+/).length;
  if (message.error) announce(`${message.error.message}`);
  else if (message.stopped) announce("Stopped");
  else announce(message.content.length < 500 ? message.content : `The answer is complete: ${words} words`);
}

function describe(error) {
  if (!(error instanceof ApiError)) {
    console.error(error);
    return { kind: "server", message: String(error?.message ?? error) };
  }
  if (error.kind === "auth") askForKey();
  const retryAt = error.retryAfter ? Date.now() + error.retryAfter * 1000 : undefined;
  return { kind: error.kind, message: error.message, retryAt };
}

function stop(id) {
  runs.get(id)?.abort.abort();
}

// At most one update a frame, and fewer when updates are dear: they may take a quarter of the time.
function paint(run) {
  if (run.waiting) return;
  run.waiting = true;
  const wait = Math.max(document.hidden ? 500 : 0, 3 * (run.cost ?? 0));
  const paintLater = () => run.message.pending && paintNow(run);
  if (wait > 12) setTimeout(paintLater, wait);
  else requestAnimationFrame(paintLater);
}

function paintNow(run) {
  run.waiting = false;
  if (run.conversation !== current) return;
  const start = performance.now();
  run.view.update();
  follow();
  run.cost = performance.now() - start;
}

function retry(index) {
  if (runs.has(current.id)) return;
  again(index, generate);
}

// Goes on from message number `from`, which and what follows is taken back; more than an answer can be had again.
function again(from, go) {
  const conversation = current;
  const before = [...current.messages];
  cut(from);
  go();
  if (!before.slice(from + 1).some((each) => each.role === "user")) return;
  toast("Later messages were replaced.", "Undo", () => {
    stop(conversation.id);
    conversation.messages = before;
    conversation.updated = Date.now();
    save(conversation);
    open(conversation);
  });
}

function edit(index) {
  if (runs.has(current.id) || current.messages[index]?.role !== "user") return;
  const turn = turns[index].root;
  if (turn.classList.contains("editing")) return;
  const { form, field } = editor(current.messages[index].content);
  const close = () => {
    form.remove();
    turn.classList.remove("editing");
    $("input").focus();
  };
  turn.classList.add("editing");
  turn.append(form);
  grow(field);
  field.focus();
  field.addEventListener("input", () => grow(field));
  field.addEventListener("keydown", (event) => {
    if (entered(event)) {
      event.preventDefault();
      form.requestSubmit();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      close();
    }
  });
  form.querySelector("[data-do=cancel]").addEventListener("click", close);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!field.value.trim() || runs.has(current.id)) return;
    close();
    again(index, () => send(field.value));
  });
}

async function copy(text, from) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Not on a secure origin (plain HTTP from another machine): the old way.
    const field = make("textarea", "unseen");
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    from.focus();
  }
  from.textContent = "Copied";
  setTimeout(() => (from.textContent = "Copy"), 1500);
}

$("log").addEventListener("click", (event) => {
  const pressed = event.target.closest("button");
  if (!pressed) return;
  const index = turns.findIndex((turn) => turn.root.contains(pressed));
  if (pressed.classList.contains("copy")) copy(pressed.closest(".code").querySelector("pre").textContent, pressed);
  else if (pressed.dataset.do === "copy") copy(current.messages[index].content, pressed);
  else if (pressed.dataset.do === "retry") retry(index);
  else if (pressed.dataset.do === "edit") edit(index);
});

// ---- The server: models and keys

let wait = 0; // seconds until the server is asked again
let waiting;
async function connect() {
  clearTimeout(waiting);
  try {
    models = await listModels(key);
    wait = 0;
    $("notice").hidden = true;
    $("key-form").hidden = true;
  } catch (error) {
    if (error.kind === "auth") {
      askForKey();
      return;
    }
    wait = Math.min(15, wait * 2 || 1);
    $("notice").textContent = `${error.message} Trying again.`;
    $("notice").hidden = false;
    waiting = setTimeout(connect, wait * 1000);
    return;
  }
  $("model").replaceChildren(...models.map((each) => new Option(each.id, each.id)));
  $("model").hidden = models.length === 0;
  $("model").disabled = models.length === 1;
  if (models.length) $("model").value = modelId();
  $("empty-model").textContent = modelId() ?? "A model";
  drawState();
}

function askForKey() {
  $("key-label").textContent = key
    ? "The server refused this API key. Another one?"
    : "This server asks for an API key. It is forgotten when this tab closes.";
  $("key-form").hidden = false;
  $("key").focus();
}

$("key-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  key = $("key").value.trim();
  store.tab.set("key", key);
  $("key").value = "";
  $("key-form").hidden = true;
  await connect();
  if (!$("key-form").hidden) return;
  $("input").focus();
  const last = current.messages.length - 1;
  if (current.messages[last]?.error?.kind === "auth") retry(last);
});

// ---- Panels, theme, notes

function show(name, visible) {
  document.body.classList.toggle(`with-${name}`, visible);
  $(name).inert = !visible;
  $(`${name}-toggle`).ariaExpanded = String(visible);
  if (narrow.matches) {
    const focused = document.activeElement;
    if (visible) $(name).querySelector("button").focus();
    else if ($(name).contains(focused) || focused === document.body) $(`${name}-toggle`).focus();
  } else {
    settings[name] = visible;
    store.saveSettings(settings);
  }
}

function layOut() {
  show("sidebar", !narrow.matches && settings.sidebar !== false);
  show("panel", !narrow.matches && settings.panel === true);
}

for (const name of ["sidebar", "panel"]) {
  $(`${name}-toggle`).addEventListener("click", () => {
    const visible = !document.body.classList.contains(`with-${name}`);
    show(name, visible);
    if (visible) $(name).querySelector("button").focus();
  });
  $(`${name}-close`).addEventListener("click", () => {
    show(name, false);
    $(`${name}-toggle`).focus();
  });
}
$("scrim").addEventListener("click", layOut);
narrow.addEventListener("change", layOut);

let toastTimer;
function toast(text, action, act) {
  $("toast").replaceChildren(text);
  if (action) {
    const undo = button(action);
    undo.addEventListener("click", () => {
      $("toast").hidden = true;
      act();
    });
    $("toast").append(undo);
  }
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => ($("toast").hidden = true), 8000);
}

$("conversations").addEventListener("click", (event) => {
  const pressed = event.target.closest("button");
  const id = pressed?.closest("li").dataset.id;
  const conversation = conversations.find((each) => each.id === id);
  if (!conversation) return;
  if (pressed.dataset.do === "remove") return void remove(conversation);
  open(conversation);
  if (narrow.matches) layOut();
  $("input").focus();
});
$("new").addEventListener("click", startNew);
$("menu").addEventListener("click", (event) => {
  const action = MENU[event.target.dataset.do];
  if (!action) return;
  $("menu").hidePopover();
  action();
});
$("rename").addEventListener("blur", () => renamed(true));
$("rename").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" && event.key !== "Escape") return;
  event.stopPropagation();
  renamed(event.key === "Enter");
  $("input").focus();
});

function change(name, value) {
  settings[name] = value;
  store.saveSettings(settings);
}

function changeParam(name, value) {
  if (value === undefined || value === "") delete settings.params[name];
  else settings.params[name] = value;
  store.saveSettings(settings);
}

function drawSettings() {
  $("fields").replaceChildren();
  addFields($("fields"), settings.params, changeParam);
  $("stop").value = settings.params.stop ?? "";
}

$("stop").addEventListener("input", () => changeParam("stop", $("stop").value));
$("reset").addEventListener("click", () => {
  change("params", {});
  drawSettings();
});
$("system").addEventListener("input", () => {
  current.system = $("system").value;
  change("system", current.system);
  save(current);
});
$("model").addEventListener("change", () => {
  change("model", $("model").value);
  $("empty-model").textContent = modelId();
  drawState();
});
$("settings").addEventListener("submit", (event) => event.preventDefault());
for (const input of document.querySelectorAll(".choice input")) {
  input.checked = settings[input.name] === input.value;
  input.addEventListener("change", () => {
    change(input.name, input.value);
    if (input.name === "format") return draw();
    if (input.value === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = input.value;
  });
}

// ---- Writing

function grow(field) {
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight + 2, innerHeight * 0.4)}px`;
}

// Enter sends; not while an input method composes, and not on a phone, which has a button for it.
function entered(event) {
  return event.key === "Enter" && !event.shiftKey && !event.isComposing && !touch.matches;
}

$("input").addEventListener("input", () => {
  grow($("input"));
  drawState();
});
$("input").addEventListener("keydown", (event) => {
  if (entered(event)) {
    event.preventDefault();
    if (!runs.has(current.id)) $("composer").requestSubmit();
  } else if (event.key === "ArrowUp" && !$("input").value) {
    const last = current.messages.findLastIndex((each) => each.role === "user");
    if (last >= 0) {
      event.preventDefault();
      edit(last);
    }
  }
});
$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  if (runs.has(current.id)) return stop(current.id);
  const text = $("input").value;
  if (!text.trim()) return;
  $("input").value = "";
  grow($("input"));
  send(text);
});
document.addEventListener("keydown", (event) => {
  const writing = event.target.closest("input, textarea, select");
  if ((event.key === "k" && (event.ctrlKey || event.metaKey)) || (event.key === "/" && !writing)) {
    event.preventDefault();
    if (narrow.matches) layOut();
    $("input").focus();
  } else if (event.key === "Escape") {
    if ($("menu").matches(":popover-open")) return;
    if (narrow.matches && document.body.matches(".with-sidebar, .with-panel")) layOut();
    else stop(current.id);
  }
});

$("scroll").addEventListener("scroll", onScroll, { passive: true });
$("latest").addEventListener("click", () => follow(true));
new ResizeObserver(() => follow()).observe($("scroll"));
addEventListener("pagehide", () => runs.forEach((run) => save(run.conversation)));
addEventListener("storage", (event) => {
  if (event.key?.startsWith("sapwood.c.") || event.key === null) {
    conversations = store.listConversations();
    const other = store.loadConversation(current.id);
    if (other && !runs.has(current.id) && other.updated > current.updated) open(other);
    else drawList();
  }
});

// What a closed page left unfinished will not go on.
for (const conversation of conversations) {
  for (const message of conversation.messages) {
    if (!message.pending) continue;
    delete message.pending;
    message.error = { kind: "lost", message: "The page was closed before the answer was complete." };
  }
}
drawSettings();
open(conversations.find((each) => each.id === store.tab.get("current")) ?? store.newConversation(settings.system));
layOut();
connect();
if (!touch.matches) $("input").focus();
