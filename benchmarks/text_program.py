"""Two hundred lines of the kind that people speed up last: text, dicts, structs, exceptions (for compile_time.py)."""


from sapwood import fn, struct


class BadLine(ValueError):
    pass


@struct
class Sale:
    day: int
    product: str
    amount: int
    price: float

    def value(self) -> float:
        return self.amount * self.price


@fn
def is_name(text: str) -> bool:
    if not text:
        return False
    first = text[0]
    if not (first.isalpha() or first == "_"):
        return False
    for c in text[1:]:
        if not (c.isalnum() or c in "_-"):
            return False
    return True


@fn
def parse_line(line: str, number: int) -> Sale:
    parts = line.split(",")
    if len(parts) != 4:
        raise BadLine(f"line {number}: {len(parts)} fields")
    product = parts[1].strip().lower()
    if not is_name(product):
        raise BadLine(f"line {number}: not a name: {product!r}")
    amount = int(parts[2])
    if amount <= 0:
        raise BadLine(f"line {number}: amount {amount}")
    return Sale(int(parts[0]), product, amount, float(parts[3]))


@fn
def parse(text: str, errors: list[str]) -> list[Sale]:
    sales: list[Sale] = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        try:
            sales.append(parse_line(line, number))
        except BadLine as e:
            errors.append(str(e))
        except ValueError:
            errors.append(f"line {number}: not a number")
    return sales


@fn
def totals(sales: list[Sale]) -> dict[str, float]:
    found: dict[str, float] = {}
    for sale in sales:
        found[sale.product] = found.get(sale.product, 0.0) + sale.value()
    return found


@fn
def by_day(sales: list[Sale]) -> dict[int, list[int]]:
    days: dict[int, list[int]] = {}
    for at, sale in enumerate(sales):
        if sale.day not in days:
            days[sale.day] = []
        days[sale.day].append(at)
    return days


@fn
def best_days(sales: list[Sale], days: dict[int, list[int]], count: int) -> list[tuple[float, int]]:
    ranked: list[tuple[float, int]] = []
    for day, places in days.items():
        value = 0.0
        for at in places:
            value += sales[at].value()
        ranked.append((-value, day))
    ranked.sort()
    return [(-value, day) for value, day in ranked[:count]]


@fn
def mean(values: list[float]) -> float:
    if not values:
        raise ValueError("mean of nothing")
    return sum(values) / len(values)


@fn
def median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


@fn
def histogram(values: list[float], bins: int) -> list[int]:
    low, high = min(values), max(values)
    counts = [0] * bins
    width = (high - low) / bins or 1.0
    for value in values:
        at = int((value - low) / width)
        counts[min(at, bins - 1)] += 1
    return counts


@fn
def words(text: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in text.split():
        word = word.strip(".,;:!?#").lower()
        if word and not word[0].isdigit():
            counts[word] = counts.get(word, 0) + 1
    return counts


@fn
def most_common(counts: dict[str, int], count: int) -> list[str]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [f"{word}={number}" for word, number in ordered[:count]]


@fn
def matches(sale: Sale, query: dict[str, str]) -> bool:
    for key, wanted in query.items():
        if key == "product":
            if sale.product != wanted:
                return False
        elif key == "day":
            if sale.day != int(wanted):
                return False
        elif key == "over":
            if sale.value() <= float(wanted):
                return False
        else:
            raise KeyError(key)
    return True


@fn
def parse_query(text: str) -> dict[str, str]:
    query: dict[str, str] = {}
    for part in text.split("&"):
        if "=" not in part:
            raise BadLine(f"no value in {part!r}")
        key, _, value = part.partition("=")
        query[key.strip()] = value.strip()
    return query


@fn
def select(sales: list[Sale], text: str) -> list[int]:
    query = parse_query(text)
    return [at for at, sale in enumerate(sales) if matches(sale, query)]


@fn
def bar(value: float, most: float, width: int) -> str:
    length = int(value / most * width) if most > 0 else 0
    return "#" * length + "." * (width - length)


@fn
def report(text: str, query: str) -> str:
    errors: list[str] = []
    sales = parse(text, errors)
    out: list[str] = [f"{len(sales)} sales, {len(errors)} errors"]
    found = totals(sales)
    most = max(found.values()) if found else 0.0
    for product in sorted(found):
        out.append(f"{product:<10} {found[product]:>10.2f} {bar(found[product], most, 20)}")
    for value, day in best_days(sales, by_day(sales), 3):
        out.append(f"day {day}: {value:.1f}")
    try:
        chosen = select(sales, query)
        out.append(f"{query}: {chosen}")
    except KeyError as e:
        out.append(f"unknown key {e}")
    values = [sale.value() for sale in sales]
    try:
        out.append(f"mean {mean(values):.3f}, median {median(values):.3f}")
        out.append(" ".join(str(n) for n in histogram(values, 5)))
    except ValueError as e:
        out.append(f"no statistics: {e}")
    out.append(", ".join(most_common(words(text), 4)))
    out.extend(errors)
    return "\n".join(out)
