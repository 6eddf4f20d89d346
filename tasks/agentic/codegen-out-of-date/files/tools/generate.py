import glob
import json
import time

HEAD = f'"""Generated {time.ctime()}; do not edit."""\n'


def function(endpoint):
    names = [p["name"] for p in endpoint["parameters"]]
    arguments = ", ".join(f"{p['name']}={p['default']}" for p in endpoint["parameters"])
    values = ", ".join(f'"{name}": {name}' for name in names)
    return f'''
def {endpoint["name"]}(send, {arguments}):
    """{endpoint["description"]}"""
    return send("{endpoint["method"]}", f"{endpoint["path"]}", {{{values}}})
'''


def main():
    out = open("api/client.py", "w")
    out.write(HEAD)
    for path in glob.glob("schema/*.json"):
        for endpoint in json.load(open(path)):
            out.write(function(endpoint))


if __name__ == "__main__":
    main()
