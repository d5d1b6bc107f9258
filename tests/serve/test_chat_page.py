"""The chat page in a real browser, against a server whose answers each test writes. No model, no outside network."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from chat_server import Answer, ChatServer, static_files
from serve_fakes import FakeClient, make_config, running_server
from starlette.testclient import TestClient

from sapwood.serve.app import create_app
from sapwood.serve.pages import CONTENT_SECURITY_POLICY

CHROMIUM = os.environ.get("SAPWOOD_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None
)
browser_test = pytest.mark.skipif(
    CHROMIUM is None, reason="needs a Chromium: install one (Debian: apt-get install chromium) or set SAPWOOD_CHROMIUM"
)


# ---- Files, without a browser


def test_the_page_is_small_and_asks_nobody_else() -> None:
    files = static_files()
    assert {"index.html", "chat.css", "chat.js", "theme.js", "icon.svg"} <= set(files)
    assert sum(len(gzip.compress(file)) for file in files.values()) < 40_000
    for name, file in files.items():
        text = re.sub(r"^//.*", "", file.decode(), flags=re.MULTILINE)  # a comment may name a specification
        for address in re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"'`)]*", text):
            assert address.startswith("http://www.w3.org/"), (name, address)  # the name of SVG
        assert "url(" not in text and "@import" not in text, name
    page = files["index.html"].decode()
    assert "style=" not in page and "<style" not in page
    assert not re.search(r"\son\w+=|<script(?! (?:type=\"module\" )?src=\"\w+\.js\")", page)


def test_every_file_that_is_named_is_there_and_the_other_way_round() -> None:
    files = static_files()
    named = set(re.findall(r'(?:src|href)="([\w.]+)"', files["index.html"].decode()))
    for file in files.values():
        named |= set(re.findall(r'from "\./([^"]+)"', file.decode()))
    assert named == set(files) - {"index.html"}


def test_nothing_can_turn_text_into_markup_or_code() -> None:
    banned = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc"
    for name, file in static_files().items():
        assert not re.search(banned, file.decode()), name
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "require-trusted-types-for 'script'" in CONTENT_SECURITY_POLICY


def test_the_server_serves_the_files() -> None:
    client = TestClient(create_app(FakeClient(), make_config()), base_url="http://127.0.0.1:8000")
    page = client.get("/")
    assert page.status_code == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["content-encoding"] == "gzip" and page.content == static_files()["index.html"]
    for name, body in static_files().items():
        plain = client.get(f"/{name}", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers and plain.content == body
        again = client.get(f"/{name}", headers={"if-none-match": plain.headers["etag"]})
        assert again.status_code == 304 and not again.content
    assert client.get("/chat.js").headers["content-type"].startswith("text/javascript")
    for name in ("nothing.js", "..%2fpages.py", "%2e%2e/pages.py", "pages.py", "static/chat.js"):
        assert client.get(f"/{name}").status_code == 404, name


# ---- In a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


@pytest.fixture
def server() -> Iterator[ChatServer]:
    running = ChatServer()
    yield running
    running.close()


class Chat:
    """A tab with the page open."""

    def __init__(self, page: Any, server: ChatServer) -> None:
        self.page = page
        self.server = server
        self.problems: list[str] = []
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._note)
        page.on("request", lambda r: None if r.url.startswith((server.url, "blob:")) else self.problems.append(r.url))
        self.open()

    def _note(self, message: Any) -> None:
        # What the browser will not load or run. Statuses of requests are told, too, and are expected.
        if "Refused" in message.text or "violat" in message.text:
            self.problems.append(message.text)

    def open(self) -> None:
        self.page.goto(self.server.url)
        self.page.wait_for_selector("html:has(#model option), html:has(.notice:not([hidden]))", state="attached")

    def say(self, text: str) -> None:
        self.page.fill("#input", text)
        self.page.press("#input", "Enter")

    def done(self, answers: int = 1) -> None:
        self.page.wait_for_function("n => document.querySelectorAll('.answer:not(.pending)').length === n", arg=answers)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).last.inner_text()

    def turns(self) -> list[str]:
        return self.page.locator(".said, .answer .prose").all_inner_texts()

    def count(self, selector: str) -> int:
        return self.page.locator(selector).count()

    def js(self, code: str, argument: object = None) -> Any:
        return self.page.evaluate(code, argument)


@pytest.fixture
def tab(browser: Any, server: ChatServer) -> Iterator[Callable[..., Chat]]:
    contexts = []

    def new(**options: Any) -> Chat:
        contexts.append(browser.new_context(**options))
        chats.append(Chat(contexts[-1].new_page(), server))
        return chats[-1]

    chats: list[Chat] = []
    yield new
    for context in contexts:
        context.close()
    assert [problem for chat in chats for problem in chat.problems] == []


@browser_test
def test_a_question_is_answered_as_the_tokens_come(tab: Callable[..., Chat], server: ChatServer) -> None:
    chat = tab()
    assert chat.js("document.activeElement.id") == "input"
    assert chat.text("#empty-model") == "mock"
    held = Answer(["The ", "**quick** ", "fox."], hold_after=2, cached=16)
    server.answers.append(held)
    chat.say("Tell me")
    chat.page.wait_for_selector(".answer strong")
    assert chat.turns() == ["Tell me", "The quick"]  # before the stream ended
    assert chat.page.locator("#send").get_attribute("aria-label") == "Stop"
    held.release.set()
    chat.done()
    assert chat.turns() == ["Tell me", "The quick fox."]
    stats = chat.text(".stats")
    assert "3 tokens" in stats and "tokens/s" in stats and "first after" in stats and "prompt 20, 16 cached" in stats
    assert chat.text("#context") == "23 of 4,096 tokens"
    [request] = server.requests
    assert request == {
        "model": "mock",
        "messages": [{"role": "user", "content": "Tell me"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    chat.say("More\nplease")
    chat.done(2)
    assert [m["content"] for m in server.requests[1]["messages"]] == ["Tell me", "The **quick** fox.", "More\nplease"]


@browser_test
def test_an_answer_can_be_stopped(tab: Callable[..., Chat], server: ChatServer) -> None:
    chat = tab()
    for stop in (lambda: chat.page.click("#send"), lambda: chat.page.keyboard.press("Escape")):
        held = Answer(["one ", "two ", "three"], hold_after=2)
        server.answers.append(held)
        chat.say("Count")
        chat.page.wait_for_selector(".answer:last-child .prose:has-text('two')")
        stop()
        chat.page.wait_for_selector(".answer:last-child:not(.pending)")
        assert held.left.wait(30)  # the connection was closed, so that the engine can free what the request held
        assert chat.text(".answer .prose") == "one two"
        assert "stopped" in chat.text(".stats") and chat.count(".note:visible") == 0
    assert chat.text("#announce") == "Stopped"


@browser_test
def test_retry_and_edit_start_again_from_there(tab: Callable[..., Chat], server: ChatServer) -> None:
    chat = tab()
    server.answers.extend([Answer(["a1"]), Answer(["a2"]), Answer(["a3"]), Answer(["a4"]), Answer(["a5"])])
    chat.say("first")
    chat.done()
    chat.say("second")
    chat.done(2)
    chat.page.locator(".answer").last.get_by_role("button", name="Retry").click()
    chat.page.wait_for_function("() => document.querySelector('.answer:last-child .prose').innerText === 'a3'")
    assert chat.turns() == ["first", "a1", "second", "a3"]
    assert [m["content"] for m in server.requests[2]["messages"]] == ["first", "a1", "second"]

    chat.page.keyboard.press("/")  # from wherever, into the message field
    chat.page.keyboard.press("ArrowUp")
    field = chat.page.locator(".editor textarea")
    assert field.input_value() == "second" and field.evaluate("e => e === document.activeElement")
    chat.page.keyboard.press("Escape")
    assert chat.count(".editor") == 0 and chat.turns()[-1] == "a3"
    chat.page.keyboard.press("ArrowUp")
    field.fill("second, better")
    chat.page.keyboard.press("Enter")
    chat.page.wait_for_function("() => document.querySelector('.answer:last-child .prose').innerText === 'a4'")
    assert chat.turns() == ["first", "a1", "second, better", "a4"]

    chat.page.locator(".user").first.get_by_role("button", name="Edit").click()
    field.fill("zeroth")
    held = Answer(["a5"], hold_after=1)
    server.answers.appendleft(held)
    chat.page.locator(".editor").get_by_role("button", name="Send").click()
    chat.page.wait_for_selector(".pending .prose:has-text('a5')")
    chat.page.click("#toast button:text('Undo')")  # even while the new answer is being written
    assert held.left.wait(30)
    chat.page.wait_for_selector("#send[aria-label=Send]")
    assert chat.turns() == ["first", "a1", "second, better", "a4"]
    chat.page.locator(".user").first.get_by_role("button", name="Edit").click()
    field.fill("zeroth")
    chat.page.locator(".editor").get_by_role("button", name="Send").click()
    chat.page.wait_for_function("() => document.querySelector('.answer:last-child .prose').innerText === 'a5'")
    assert chat.turns() == ["zeroth", "a5"]
    assert [m["content"] for m in server.requests[5]["messages"]] == ["zeroth"]


@browser_test
def test_parameters_are_sent_checked_and_kept(tab: Callable[..., Chat], server: ChatServer) -> None:
    chat = tab()
    chat.page.click("#panel-toggle")
    chat.page.fill("#system", "Be brief.")
    values = {"temperature": 0.5, "max_tokens": 40, "top_p": 0.9, "top_k": 7, "min_p": 0.1, "seed": 0}
    for name, value in values.items():
        chat.page.fill(f"#{name}", str(value))
    chat.page.fill("#stop", "END\n\\n\\n")
    chat.page.fill("#repetition_penalty", "99")
    assert chat.page.locator("#repetition_penalty").get_attribute("aria-invalid") == "true"
    chat.page.fill("#presence_penalty", "much")
    chat.say("Hi")
    chat.done()
    sent = server.requests[0]
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert {name: sent.get(name) for name in values} == values
    assert sent["stop"] == ["END", "\n\n"]
    assert "repetition_penalty" not in sent and "presence_penalty" not in sent and "frequency_penalty" not in sent
    chat.open()
    assert chat.page.input_value("#temperature") == "0.5" and chat.page.input_value("#system") == "Be brief."
    assert chat.page.is_visible("#panel")
    chat.page.click("#reset")
    chat.page.fill("#system", "")
    chat.say("Hi again")
    chat.done(2)
    assert set(server.requests[1]) == {"model", "messages", "stream", "stream_options"}
    assert server.requests[1]["messages"][0]["role"] == "user"


@browser_test
def test_keys_and_focus(tab: Callable[..., Chat], server: ChatServer) -> None:
    chat = tab()
    keyboard = chat.page.keyboard
    keyboard.type("one")
    keyboard.press("Shift+Enter")
    keyboard.type("two")
    assert chat.page.input_value("#input") == "one\ntwo" and not server.requests
    chat.js("""document.getElementById("input").dispatchEvent(new KeyboardEvent("keydown",
        {key: "Enter", isComposing: true, bubbles: true, cancelable: true}))""")
    assert not server.requests  # Enter that ends a composition is the input method's
    keyboard.press("Enter")
    chat.done()
    assert server.requests[0]["messages"][0]["content"] == "one\ntwo"
    chat.page.focus("#new")
    keyboard.press("Control+k")
    assert chat.js("document.activeElement.id") == "input"
    keyboard.type("a / b")  # in a field it is a letter
    assert chat.page.input_value("#input") == "a / b"
    chat.page.fill("#input", "  ")
    keyboard.press("Enter")
    assert len(server.requests) == 1
    # Every button is reached with Tab alone, none traps it, and each shows where it is.
    chat.page.fill("#input", "x")
    chat.js("document.activeElement.blur()")
    reached = []
    for _ in range(30):
        keyboard.press("Tab")
        reached.append(chat.js("""() => {
            const e = document.activeElement;
            const seen = getComputedStyle(e).outlineStyle !== "none" || e.closest("#composer") !== null;
            return [e === document.body ? "BODY" : e.id || e.dataset.do || e.className, seen];
        }"""))
    names = {name for name, _ in reached}
    assert names >= {"skip", "new", "open", "sidebar-toggle", "menu-toggle", "panel-toggle", "copy", "edit", "retry",
                     "input", "send"}, names
    assert all(seen for name, seen in reached if name != "BODY"), reached


MARKDOWN = """\
# Title

A paragraph with **bold**, *emphasis*, ***both***, ~~gone~~, `a < b`, snake_case_name, 2 * 3 * 4 and &amp;.
Next line. [A link](https://example.com/a_(b)) and https://example.com/x_y, <https://example.com/z>.

- one
- two
  1. inner
  2. more
- [x] task

3. three

4. four

   with a paragraph

> quoted **text**
> - in a list

| left | right |
| :-- | --: |
| a \\| b | `1` |
| c<br>d |

```python
def f(x):  # a comment
    return "text", 1

```

---
Last *unclosed and ``odd
"""
CODE = 'def f(x):  # a comment\n    return "text", 1\n'


@browser_test
def test_markdown(tab: Callable[..., Chat], server: ChatServer) -> None:
    chat = tab()
    server.answers.append(Answer([MARKDOWN]))
    chat.say("go")
    chat.done()
    prose = ".answer .prose"
    texts = {
        "h3.h1": "Title", "strong >> nth=0": "bold", "em >> nth=0": "emphasis", "em > strong": "both", "del": "gone",
        "code >> nth=0": "a < b", "ul > li >> nth=1 >> ol > li >> nth=0": "inner", "blockquote strong": "text",
        "blockquote li": "in a list", "th >> nth=1": "right", "td >> nth=0": "a | b", "td >> nth=1": "1",
        "td >> nth=2": "c\nd", "td >> nth=3": "", ".code-head span": "python", "ol[start='3'] > li >> nth=0": "three",
    }
    found = {selector: chat.page.locator(f"{prose} >> {selector}").first.inner_text() for selector in texts}
    assert found == texts
    assert chat.count(f"{prose} ol.loose") == 1 and chat.count(f"{prose} ul.loose") == 0
    text = chat.text(prose)
    assert "snake_case_name, 2 * 3 * 4 and &." in text and "Last *unclosed and ``odd" in text
    assert chat.js("[...document.querySelectorAll('.prose a')].map(a => [a.href, a.textContent, a.rel, a.target])") == [
        [url, shown, "noopener noreferrer nofollow", "_blank"]
        for url, shown in [
            ("https://example.com/a_(b)", "A link"),
            ("https://example.com/x_y", "https://example.com/x_y"),
            ("https://example.com/z", "https://example.com/z"),
        ]
    ]
    assert chat.js("document.querySelector('.prose pre').textContent") == CODE
    colours = chat.js("[...document.querySelectorAll('pre span:not(.chunk)')].map(s => s.className[2] + s.textContent)")
    assert colours == ["kdef", "ff", "c# a comment", "kreturn", 's"text"', "n1"]
    assert chat.count(f"{prose} input[type=checkbox]:checked:disabled") == 1 and chat.count(f"{prose} hr") == 1
    assert chat.js("getComputedStyle(document.querySelectorAll('.prose td')[1]).textAlign") == "right"


@browser_test
def test_copy_gives_what_was_written(tab: Callable[..., Chat], server: ChatServer) -> None:
    chat = tab(permissions=["clipboard-read", "clipboard-write"])
    server.answers.append(Answer([MARKDOWN]))
    chat.say("*me*")
    chat.done()
    clipboard = "navigator.clipboard.readText()"
    chat.page.click(".code .copy")
    chat.page.wait_for_selector(".code .copy:text('Copied')")
    assert chat.js(clipboard) == CODE
    for turn, text in ((".answer", MARKDOWN), (".user", "*me*")):
        chat.page.click(f"{turn} [data-do=copy]")
        chat.page.wait_for_selector(f"{turn} [data-do=copy]:text('Copied')")
        assert chat.js(clipboard) == text


DOCUMENTS = [
    MARKDOWN,
    "- a\n\n2. b\n2. c\n\n2\n\n- d\n-\n- e\n\n-f\n\n    code\n\n  text\n# h\n####### no\n#no\n",
    "a\n=\nb\n---\nc\n- - -\n* * *\n| x |\n|--|\n| y |\nz\n| not | a table |\n\n",
    "~~~~\n```\n~~~\n~~~~\n> a\nlazy\n> > b\n\nc",
    "1. a\n   ```js\n   let x = `y\n   z` /* c\n   */ + 1\n   ```\n   b\n2. c\n  - d\n    e\n\n    f\n",
    "**a *b** c* __d__ _e_f_ ~~g~ [h](javascript:x) ![i](https://e.org/i.png) [j] (k)",
    "[l](<https://e.org> \"m\") \\* \\",
    "```html\n<!-- a\nb --> <p class=\"x\">\n```\r\n```\n\n\ttab\n\n```diff\n+a\n-b\n```\n```json\n{\"a\": [1, true]}",
]


@browser_test
def test_a_stream_ends_as_the_whole_text_would(tab: Callable[..., Chat]) -> None:
    """However a text arrives, in single characters or in random pieces, the nodes at the end are the same."""
    chat = tab()
    differing = chat.js(
        """async documents => {
        const { MarkdownView } = await import("./markdown.js");
        const serialise = (node) => new XMLSerializer().serializeToString(node);
        const show = (ends, text) => {
            const root = document.createElement("div"), view = new MarkdownView(root);
            for (const end of ends) view.update(text.slice(0, end));
            root.normalize();
            return serialise(root);
        };
        let seed = 1;
        const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
        const found = [];
        for (const text of documents) {
            const whole = show([text.length], text);
            const all = [...text].map((_, i) => i + 1);
            for (let i = 0; i < 5; i++) {
                const ends = i === 0 ? all : all.filter(() => random() < 0.25);
                const streamed = show([...ends, text.length], text);
                if (streamed !== whole) found.push([text, streamed, whole]);
            }
        }
        return found;
    }""",
        DOCUMENTS,
    )
    assert differing == []


@browser_test
def test_hostile_text_stays_text(tab: Callable[..., Chat], server: ChatServer) -> None:
    chat = tab()
    hostile = "\n\n".join([
        "<img src=x onerror=\"window.hit=1\">", "<script>window.hit=1</script>", "</script><svg onload=window.hit=1>",
        "[a](javascript:window.hit=1)", "[b](  JaVaScRiPt:window.hit=1)", "[c](java\tscript:window.hit=1)",
        "[d](data:text/html,<script>window.hit=1</script>)", "<javascript:window.hit=1>", "[e](vbscript:x)",
        "![f](x\" onerror=\"window.hit=1)", "[g](//example.com)", "[h](file:///etc/passwd)", "[i](&#106;avascript:x)",
        "[ok](https://example.com/\"onmouseover=\"window.hit=1)",
        "```\"><img src=x onerror=window.hit=1>\n</code></pre><script>window.hit=1</script>\n```",
        "| <img src=x onerror=window.hit=1> |\n|--|\n| <b>x</b> |", "<think><img src=x onerror=window.hit=1></think>",
    ])
    server.answers.append(Answer([hostile]))
    server.answers.append(Answer(["<think><img src=x onerror=window.hit=1></think><b>x</b>"]))
    chat.say("<img src=x onerror=window.hit=1>")
    chat.done()
    chat.page.locator(".turn a").first.hover()
    chat.say("again")
    chat.done(2)
    assert chat.js("window.hit") is None
    assert chat.js("document.querySelectorAll('#log :is(img, script, iframe, object, b, svg:not(.rings))').length") == 0
    assert chat.js("[...document.querySelectorAll('#log a')].map(a => a.protocol)") == ["https:"]
    attributes = chat.js("[...document.querySelectorAll('#log *')].flatMap(e => e.getAttributeNames())")
    assert [name for name in attributes if name.startswith("on") or name in ("style", "src")] == []
    assert "<img src=x onerror" in chat.text(".said >> nth=0")
    assert '<script>window.hit=1</script>' in chat.page.locator(".prose").first.inner_text()


@browser_test
def test_hostile_nesting_is_cheap_and_shallow(tab: Callable[..., Chat]) -> None:
    chat = tab()
    texts = ["> " * 5000 + "x", "- " * 3000 + "x", "*" * 10000 + "a" + "*" * 10000, "*a " * 4000 + "b* " * 4000,
             "[" * 10000 + "](https://a.b)" * 5, "`" * 3 + " `` ` " * 4000, "_a*b~~" * 3000, "](a" * 4000,
             "\n".join(" " * (2 * i) + "- x" for i in range(300)), "&" * 10000, "<br>" * 100 + "<" * 10000,
             "|" * 5000 + "\n" + "|-" * 5000, "# x" + " " * 10000 + "#", "![" * 4000]
    depths = chat.js(
        """async texts => {
        const { MarkdownView } = await import("./markdown.js");
        return texts.map(text => {
            const root = document.createElement("div");
            document.body.append(root);
            new MarkdownView(root).update(text);
            let deepest = 0;
            for (let node of root.querySelectorAll("*")) {
                let depth = 0;
                while ((node = node.parentElement) !== root) depth++;
                deepest = Math.max(deepest, depth);
            }
            root.offsetHeight;
            root.remove();
            return [deepest, root.textContent.length];
        });
    }""",
        texts,
    )
    assert all(depth < 100 for depth, _ in depths) and all(length for _, length in depths), depths


@browser_test
def test_light_and_dark(tab: Callable[..., Chat]) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    light, dark = "rgb(251, 249, 244)", "rgb(22, 21, 18)"
    chat = tab(color_scheme="dark")
    assert chat.js(paper) == dark
    chat.page.click("#panel-toggle")
    chat.page.get_by_text("Light", exact=True).click()
    assert chat.js(paper) == light
    chat.open()
    assert chat.js(paper) == light  # kept, and against the system's preference
    chat.page.get_by_text("Auto", exact=True).click()
    assert chat.js(paper) == dark
    chat.page.emulate_media(color_scheme="light")
    assert chat.js(paper) == light


CONTRAST = """() => {
    const shade = (c) => c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const parse = (text) => text.match(/[\\d.]+/g).map(Number);
    const found = [];
    for (const node of document.querySelectorAll("body *")) {
        const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
        if (!own || !node.checkVisibility({ opacityProperty: true })) continue;
        if (node.closest(".unseen, .skip, option")) continue;
        let back = node, colour;
        do {
            colour = parse(getComputedStyle(back).backgroundColor);
        } while (colour[3] === 0 && (back = back.parentElement));
        const [a, b] = [shade(parse(getComputedStyle(node).color).slice(0, 3)), shade(colour.slice(0, 3))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) found.push([node.className || node.tagName, node.textContent.slice(0, 30), ratio]);
    }
    return found;
}"""


@browser_test
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_and_fits_a_phone(tab: Callable[..., Chat], server: ChatServer, scheme: str) -> None:
    chat = tab(color_scheme=scheme, viewport={"width": 320, "height": 600}, has_touch=True)
    wide_text = "\n```\n" + "long " * 99 + "\n```\n" + "W" * 300 + " [x](https://e.org/" + "y" * 300 + ") `" + "v" * 200
    server.answers.append(Answer([MARKDOWN, wide_text + "`"]))
    chat.page.fill("#input", "z" * 400)
    chat.page.click("#send")
    chat.done()
    server.answers.append(Answer(status=429, message="busy", headers={"retry-after": "9"}))
    chat.page.fill("#input", "more")
    chat.page.click("#send")
    chat.page.wait_for_selector(".note:visible")
    wide = """() => [...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() &&
        !e.closest("pre, .table, .sprite, .unseen, aside") && e.getBoundingClientRect().right > innerWidth + 1)
        .map((e) => e.className || e.tagName)"""
    assert chat.js(wide) == []
    assert chat.js(CONTRAST) == []
    for panel in ("sidebar", "panel"):
        chat.page.click(f"#{panel}-toggle")
        assert chat.page.is_visible(f"#{panel}") and chat.js(f"document.getElementById('{panel}').scrollWidth") <= 320
        assert chat.js(CONTRAST) == []
        assert chat.js(f"document.activeElement.closest('#{panel}') !== null")
        chat.page.keyboard.press("Escape")
        assert not chat.page.is_visible(f"#{panel}") and chat.js("document.activeElement.id") == f"{panel}-toggle"


@browser_test
def test_motion_can_be_turned_off(tab: Callable[..., Chat], server: ChatServer) -> None:
    for motion, name in (("reduce", "none"), ("no-preference", "grow")):
        chat = tab(reduced_motion=motion)
        held = Answer(["x"], hold_after=1)
        server.answers.append(held)
        chat.say("x")
        assert chat.page.locator(".pending > .rings").evaluate("e => getComputedStyle(e).animationName") == name
        held.release.set()
        chat.done()


@browser_test
def test_conversations_are_kept_renamed_exported_and_deleted(tab: Callable[..., Chat], server: ChatServer) -> None:
    chat = tab()
    chat.say("First question\nwith two lines")
    chat.done()
    chat.page.click("#new")
    assert chat.turns() == [] and chat.page.is_visible("#empty")
    server.answers.append(Answer(["Other"]))
    chat.say("Second question")
    chat.done()
    chat.open()  # a reload shows what was open
    titles = "[...document.querySelectorAll('.open')].map(e => e.textContent)"
    assert chat.turns() == ["Second question", "Other"]
    assert chat.js(titles) == ["Second question", "First question"]
    assert chat.text(".stats").startswith("1 token · first after")
    chat.page.click(".open:text('First question')")
    assert chat.turns() == ["First question\nwith two lines", "Hello there."]

    chat.page.click("#menu-toggle")
    chat.page.click("#menu [data-do=rename]")
    chat.page.keyboard.type("Better name")
    chat.page.keyboard.press("Enter")
    assert chat.text("#title") == "Better name" and "Better name" in chat.js(titles)
    chat.page.click("#menu-toggle")
    with chat.page.expect_download() as download:
        chat.page.click("#menu [data-do=markdown]")
    assert download.value.suggested_filename == "Better-name.md"
    with open(download.value.path(), encoding="utf-8") as file:
        assert file.read() == "# Better name\n\n**You**\n\nFirst question\nwith two lines\n\n**mock**\n\nHello there.\n"
    chat.page.click("#menu-toggle")
    with chat.page.expect_download() as download:
        chat.page.click("#menu [data-do=json]")
    with open(download.value.path(), encoding="utf-8") as file:
        assert json.load(file)["messages"][1] == {"role": "assistant", "content": "Hello there."}

    chat.page.click("#menu-toggle")
    chat.page.click("#menu [data-do=delete]")
    assert chat.js(titles) == ["Second question"] and chat.page.is_visible("#empty")
    chat.page.click("#toast button")
    assert chat.turns()[0].startswith("First question")
    chat.page.hover("li:has(.open:text('Second question'))")
    chat.page.click("li:has(.open:text('Second question')) [data-do=remove]")
    chat.open()
    assert chat.js(titles) == ["Better name"]


@browser_test
def test_storage_has_a_cap_and_the_oldest_make_room(tab: Callable[..., Chat]) -> None:
    chat = tab()
    chat.js("""() => {
        for (let i = 0; i < 4; i++) {
            const messages = [{role: "user", content: "x".repeat(990_000)}];
            const old = {id: `${i}`, title: `old ${i}`, system: "", updated: i, messages};
            localStorage.setItem(`sapwood.c.${i}`, JSON.stringify(old));
        }
        localStorage.setItem("sapwood.c.bad", "{not json");
        localStorage.setItem("sapwood.c.odd", '{"id": "odd", "messages": [{"role": 1}]}');
        localStorage.setItem("sapwood.settings", "[1, null]");
    }""")
    chat.open()
    assert chat.count(".open") == 4
    chat.say("y" * 60_000)
    chat.done()
    assert chat.js("Object.keys(localStorage).filter(k => /^sapwood[.]c[.][0-3]$/.test(k)).sort()") == [
        "sapwood.c.1", "sapwood.c.2", "sapwood.c.3",
    ]
    assert "made room" in chat.text("#toast") and chat.count(".open") == 4


@browser_test
def test_without_storage_the_page_still_works(tab: Callable[..., Chat], server: ChatServer) -> None:
    chat = tab()
    chat.page.add_init_script("""for (const name of ["localStorage", "sessionStorage"])
        Object.defineProperty(window, name, { get() { throw new DOMException("closed", "SecurityError"); } });""")
    chat.open()
    chat.page.click("#panel-toggle")
    chat.page.fill("#temperature", "0")
    chat.say("Hi")
    chat.done()
    assert chat.turns() == ["Hi", "Hello there."] and server.requests[0]["temperature"] == 0
    assert "does not keep" in chat.text("#toast")


@browser_test
def test_an_answer_goes_on_while_another_conversation_is_open(tab: Callable[..., Chat], server: ChatServer) -> None:
    chat = tab()
    held = Answer(["long ", "answer"], hold_after=1)
    server.answers.append(held)
    chat.say("slow")
    chat.page.wait_for_selector(".prose:has-text('long')")
    chat.page.click("#new")
    chat.say("quick")
    chat.done()
    assert chat.turns() == ["quick", "Hello there."]
    assert chat.count("li.running") == 1
    held.release.set()
    chat.page.wait_for_selector("li.running", state="detached")
    assert chat.turns() == ["quick", "Hello there."]
    chat.page.click(".open:text('slow')")
    assert chat.turns() == ["slow", "long answer"]


@browser_test
def test_a_key_is_asked_for_and_forgotten_with_the_tab(browser: Any) -> None:
    server = ChatServer(key="sk-right")
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(server.url)
        page.wait_for_selector("#key-form:visible")
        page.fill("#key", "sk-wrong")
        page.keyboard.press("Enter")
        page.wait_for_selector("#key-label:has-text('refused')")
        page.fill("#key", "sk-right")
        page.keyboard.press("Enter")
        page.wait_for_selector("#key-form", state="hidden")
        page.wait_for_selector("#model option", state="attached")
        stored = page.evaluate("JSON.stringify(localStorage)")
        assert "sk-right" not in stored and page.evaluate("sessionStorage.getItem('sapwood.key')") == "sk-right"
        page.fill("#input", "Hi")
        page.keyboard.press("Enter")
        page.wait_for_selector(".answer:not(.pending)")
        assert page.locator(".prose").inner_text() == "Hello there."
        server.key = "sk-changed"
        page.fill("#input", "And?")
        page.keyboard.press("Enter")
        page.wait_for_selector(".note[data-kind=auth]:visible")
        assert "API key" in page.locator(".note").last.inner_text()
        page.fill("#key", "sk-changed")
        page.keyboard.press("Enter")  # and the question is asked again
        page.wait_for_function("() => document.querySelectorAll('.prose')[1]?.innerText === 'Hello there.'")
        assert page.locator(".note:visible").count() == 0
        assert "sk-" not in "".join(server.paths)
    finally:
        context.close()
        server.close()


@browser_test
def test_errors_are_shown_in_place_with_a_retry(tab: Callable[..., Chat], server: ChatServer) -> None:
    chat = tab()
    died = {"error": {"message": "the engine died", "type": "server_error", "code": "engine_dead"}}
    cases = [
        (Answer(status=429, message="64 requests wait", headers={"retry-after": "30"}), "busy", "64 requests wait"),
        (Answer(status=503, message="The engine is being started again"), "unavailable", "started again"),
        (Answer(status=400, message="top_k is wrong"), "invalid", "top_k is wrong"),
        (Answer(status=403, message="not a name of this server"), "invalid", "not a name of this server"),
        (Answer(["half an ", "answer"], hold_after=2, lose=True), "lost", "lost before the answer was complete"),
        (Answer(["part"], finish=""), "lost", "ended before the answer was complete"),
        (Answer(["part"], event=died), "unavailable", "engine died"),
    ]
    for answer, kind, text in cases:
        server.answers.append(answer)
        chat.page.click("#new")
        chat.say("Hi")
        if answer.lose:
            chat.page.wait_for_selector(".prose:has-text('half an answer')")
            answer.release.set()
        note = f".answer:last-child .note[data-kind={kind}]"
        chat.page.wait_for_selector(f"{note}:visible")
        assert text in chat.text(note) and chat.page.input_value("#input") == ""
        assert text in chat.text("#announce")
        if kind == "busy":
            assert re.search(r"wait (30|2\d) seconds", chat.text(note))
        if answer.lose:
            assert chat.text(".prose") == "half an answer"  # what came stays
            chat.open()
            assert chat.text(".prose") == "half an answer" and chat.page.is_visible(note)
        chat.page.click(f"{note} >> text=Retry")
        chat.page.wait_for_function("() => document.querySelector('.prose').innerText === 'Hello there.'")
        assert chat.turns() == ["Hi", "Hello there."] and chat.count(".note:visible") == 0
    # After an answer that never began, two messages of a person are one: many templates refuse two in a row.
    server.answers.append(Answer(status=503, message="no"))
    chat.say("and")
    chat.page.wait_for_selector(".note:visible")
    chat.say("more")
    chat.done(3)
    assert [m["content"] for m in server.requests[-1]["messages"]] == ["Hi", "Hello there.", "and\n\nmore"]


@browser_test
def test_a_server_that_is_not_there_is_asked_again(tab: Callable[..., Chat], server: ChatServer) -> None:
    chat = tab()
    down = {"v": True}
    chat.page.route("**/v1/**", lambda route: route.abort() if down["v"] else route.continue_())
    chat.open()
    chat.page.wait_for_selector("#notice:visible")
    assert "cannot be reached" in chat.text("#notice")
    chat.say("Hi")
    chat.page.wait_for_selector(".note[data-kind=network]:visible")
    down["v"] = False
    chat.page.wait_for_selector("#model option", state="attached")
    chat.page.click(".note >> text=Retry")
    chat.page.wait_for_selector(".prose:has-text('Hello there.')")
    assert not chat.page.is_visible("#notice")


@browser_test
def test_a_long_answer_touches_only_what_is_new(tab: Callable[..., Chat], server: ChatServer) -> None:
    """20,000 tokens: no node that is finished is made again, in prose and in one long block of code."""
    chat = tab()
    lines = [f"Paragraph {i} has **some** `words` in it.\n\n" for i in range(1000)]
    code = "```python\n" + "".join(f"value_{i} = call({i}, 'text')\n" for i in range(1200)) + "```\n"
    text = "".join(lines) + code + "- end"
    size = len(text) // 20_000 + 1
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    held = Answer(pieces, hold_after=0)
    server.answers.append(held)
    chat.say("long")
    chat.page.wait_for_selector(".pending .prose", state="attached")
    chat.js("""() => {
        window.removed = 0;
        new MutationObserver((records) => records.forEach((r) => r.removedNodes.forEach((n) => {
            if (n.nodeType === 1 && n.closest("p, h3, .code, ul") === n) window.removed++;
        }))).observe(document.querySelector(".pending .prose"), { childList: true });
        window.first = null;
        new MutationObserver(() => (window.first ??= document.querySelector(".prose p")))
            .observe(document.querySelector(".pending .prose"), { childList: true });
    }""")
    held.release.set()
    chat.page.wait_for_selector(".answer:not(.pending)")
    assert chat.count(".prose > p") == 1000 and chat.count(".prose > .code") == 1 and chat.text(".prose > ul") == "end"
    assert chat.js("document.querySelector('.prose pre').textContent") == code[10:-5]
    assert chat.js("window.first === document.querySelector('.prose p')")
    # A paragraph may become the start of something else ("`" of "```"): a handful, not one an update.
    assert chat.js("window.removed") < 10
    assert chat.js("document.querySelector('#scroll').scrollTop") > 10_000  # it followed


@browser_test
def test_scrolling_up_is_left_alone(tab: Callable[..., Chat], server: ChatServer) -> None:
    chat = tab()
    held = Answer(["line\n\n" * 100, "more\n\n" * 50, "end"], hold_after=1)
    server.answers.append(held)
    chat.say("go")
    chat.page.wait_for_function("() => document.querySelectorAll('.prose p').length === 100")
    bottom = "((s) => s.scrollHeight - s.scrollTop - s.clientHeight)(document.querySelector('#scroll'))"
    chat.page.wait_for_function(f"() => {bottom} < 3")
    chat.page.mouse.move(600, 300)
    chat.page.mouse.wheel(0, -400)
    chat.page.wait_for_selector("#latest:visible")
    before = chat.js("document.querySelector('#scroll').scrollTop")
    held.release.set()
    chat.done()
    assert chat.js("document.querySelector('#scroll').scrollTop") == before
    chat.page.click("#latest")
    assert chat.js(bottom) < 3 and not chat.page.is_visible("#latest")


@browser_test
def test_thoughts_are_folded_and_text_can_stay_plain(tab: Callable[..., Chat], server: ChatServer) -> None:
    chat = tab()
    held = Answer(["<think>\nLet me ", "see.\n</think>\n\n", "**Yes.**"], hold_after=1)
    server.answers.append(held)
    chat.say("?")
    chat.page.wait_for_selector(".thought[open] .thought-body:has-text('Let me')")
    held.release.set()
    chat.done()
    assert chat.text(".prose") == "Yes." and not chat.page.is_visible(".thought-body")
    chat.page.click(".thought summary")
    assert chat.text(".thought-body") == "Let me see."
    chat.page.click("#panel-toggle")
    chat.page.get_by_text("Plain text").click()
    assert chat.text(".prose") == "**Yes.**"
    # A hidden radio button that is focused far down its panel must not move the page.
    assert chat.js("document.querySelector('main').getBoundingClientRect().top") == 0
    server.answers.append(Answer(["  def f():\n", "      *x*"]))
    chat.say("code")
    chat.done(2)
    assert chat.js("document.querySelector('.answer:last-child .prose').textContent") == "  def f():\n      *x*"
    assert chat.count(".prose em") == 0


@browser_test
def test_the_live_region_says_an_answer_once(tab: Callable[..., Chat], server: ChatServer) -> None:
    chat = tab()
    chat.js("""() => {
        window.said = [];
        new MutationObserver(() => window.said.push(document.getElementById("announce").textContent))
            .observe(document.getElementById("announce"), { childList: true });
    }""")
    server.answers.append(Answer([f"word{i} " for i in range(20)]))
    server.answers.append(Answer([f"word{i} " for i in range(500)]))
    chat.say("short")
    chat.done()
    chat.say("long")
    chat.done(2)
    said = chat.js("window.said")
    assert len(said) == 4 and said[0] == "Writing an answer" and said[1].startswith("word0 word1")
    assert said[3] == "The answer is complete: 500 words"
    assert chat.page.locator("#log").get_attribute("aria-live") == "off"


@browser_test
def test_events_are_read_however_they_are_cut(tab: Callable[..., Chat]) -> None:
    chat = tab()
    events = chat.js("""async () => {
        const { readEvents } = await import("./api.js");
        const text = ': hi\\r\\ndata: {"a":\\r\\ndata: "é😀"}\\r\\n\\r\\nevent: x\\n' +
            'data:two\\n\\n\\ndata: three\\r\\rdata: cut';
        const bytes = new TextEncoder().encode(text);
        const all = [];
        for (let size = 1; size < 12; size++) {
            const found = [];
            const stream = new ReadableStream({ start(c) {
                for (let i = 0; i < bytes.length; i += size) c.enqueue(bytes.slice(i, i + size));
                c.close();
            } });
            for await (const data of readEvents(stream)) found.push(data);
            all.push(found);
        }
        return all;
    }""")
    assert events == [['{"a":\n"é😀"}', "two", "three"]] * 11


@browser_test
def test_with_the_real_server(browser: Any) -> None:
    """The engine is a fake; routes, streams, keys and headers are the server's own."""
    client = FakeClient()
    context = browser.new_context()
    with running_server(client) as running:
        page = context.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.goto(running.url)
        page.wait_for_selector("#model option", state="attached")
        page.click("#panel-toggle")
        page.fill("#max_tokens", "12")
        page.fill("#input", "Hello")
        page.press("#input", "Enter")
        page.wait_for_selector(".answer:not(.pending)")
        stats = page.locator(".stats").inner_text()
        assert "12 tokens" in stats and "cut at the token limit" in stats and ", 3 cached" in stats
        assert page.evaluate("document.querySelector('.prose').textContent.length") > 0
        assert "of 256 tokens" in page.locator("#context").inner_text()
        page.fill("#max_tokens", "")
        running.call(client.gate.clear)
        page.fill("#input", "Wait")
        page.press("#input", "Enter")
        page.wait_for_selector(".answer.pending")
        while not client.active:
            page.wait_for_timeout(5)
        page.keyboard.press("Escape")
        page.wait_for_selector(".answer.pending", state="detached")
        while client.active:  # the engine is told
            page.wait_for_timeout(5)
        assert client.num_aborted == 1 and problems == []
    context.close()


@browser_test
def test_with_the_real_server_and_keys(browser: Any) -> None:
    """The browser's own question for a key opens the page; the page's own field serves where that one cannot."""
    with running_server(FakeClient(), api_keys=("sk-first-key",)) as running:
        context = browser.new_context(http_credentials={"username": "", "password": "sk-first-key"})
        page = context.new_page()
        page.goto(running.url)
        page.wait_for_selector("#model option", state="attached")
        page.fill("#input", "Hello")
        page.press("#input", "Enter")
        page.wait_for_selector(".answer:not(.pending)")
        assert page.locator(".note:visible, #key-form:visible").count() == 0
        context.close()
