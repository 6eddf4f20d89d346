RANK = {"high": 0, "normal": 1, "low": 2}


def ordered(tasks, everything):
    shown = [task for task in tasks if everything or not task["done"]]
    return sorted(shown, key=lambda t: (RANK[t["priority"]], t["due"] is None, t["due"] or "", t["id"]))


def line(task):
    text = f"{task['id']}. [{'x' if task['done'] else ' '}] {task['text']}"
    if task["priority"] != "normal":
        text += f" ({task['priority']})"
    return text + (f" due {task['due']}" if task["due"] else "")
