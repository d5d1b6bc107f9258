// The parameters of a request that the side panel offers: vLLM's names, the server's own limits.

const FIELDS = [
  { name: "temperature", min: 0, max: 100, step: 0.1, help: "0 always takes the likeliest token" },
  { name: "max_tokens", min: 1, max: 2147483647, step: 1, help: "The longest answer" },
  { name: "top_p", min: 0.01, max: 1, step: 0.01, help: "Keep the likeliest tokens that reach this probability" },
  { name: "top_k", min: -1, max: 2147483647, step: 1, help: "Keep so many tokens; 0 keeps all" },
  { name: "min_p", min: 0, max: 1, step: 0.01, help: "Drop tokens less likely than this share of the likeliest" },
  { name: "presence_penalty", min: -2, max: 2, step: 0.1, help: "Against tokens that occurred" },
  { name: "frequency_penalty", min: -2, max: 2, step: 0.1, help: "Against tokens, each time they occurred" },
  { name: "repetition_penalty", min: 0.01, max: 10, step: 0.01, help: "1 changes nothing" },
  { name: "seed", min: -9007199254740991, max: 9007199254740991, step: 1, help: "The same seed draws the same answer" },
];

// A value out of a field's range is shown as wrong and not sent.
function valid(field, text) {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < field.min || value > field.max) return null;
  return field.step === 1 && !Number.isSafeInteger(value) ? null : value;
}

/** Adds the number fields to `parent` and calls `changed(name, value or undefined)` when one is edited. */
export function addFields(parent, params, changed) {
  for (const field of FIELDS) {
    const input = document.createElement("input");
    const label = document.createElement("label");
    const hint = document.createElement("span");
    const { name } = field;
    Object.assign(input, { type: "text", inputMode: "decimal", id: name, name, placeholder: "default" });
    input.value = params[field.name] ?? "";
    input.ariaDescription = field.help;
    hint.textContent = field.help;
    hint.className = "small";
    label.htmlFor = field.name;
    label.append(field.name, hint, input);
    input.addEventListener("input", () => {
      const value = valid(field, input.value);
      const wrong = value === null && input.value.trim() !== "";
      input.ariaInvalid = wrong ? "true" : null;
      hint.textContent = wrong ? `From ${field.min} to ${field.max}${field.step === 1 ? ", whole" : ""}` : field.help;
      changed(field.name, value ?? undefined);
    });
    parent.append(label);
  }
}

/** What of `params` goes into a request. */
export function requestParams(params) {
  const found = {};
  for (const field of FIELDS) {
    const value = params[field.name];
    if (value !== undefined && valid(field, String(value)) !== null) found[field.name] = value;
  }
  // "\n" is the one stop string that a field of lines cannot hold.
  const stop = String(params.stop ?? "").split("\n").filter(Boolean).map((each) => each.replaceAll("\\n", "\n"));
  if (stop.length) found.stop = stop;
  return found;
}

/** The messages of a conversation as the API takes them. Answers that never began are left out. */
export function requestMessages(conversation, upTo) {
  const found = conversation.system.trim() ? [{ role: "system", content: conversation.system }] : [];
  for (const { role, content } of conversation.messages.slice(0, upTo)) {
    const last = found[found.length - 1];
    if (role === "assistant" && !content) continue;
    // Many chat templates refuse two messages of one side in a row.
    if (last?.role === role) last.content += `\n\n${content}`;
    else found.push({ role, content });
  }
  return found;
}
