class LangError(Exception):
    def __init__(self, text, line):
        super().__init__(f"line {line}: {text}")
        self.line = line
