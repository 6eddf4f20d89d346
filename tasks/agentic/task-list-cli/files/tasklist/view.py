def lines(tasks):
    return [f"{task['id']}. {task['text']}" for task in tasks]
