import os
import subprocess

before = open("api/client.py").read()
os.system("python3 tools/generate.py")
after = open("api/client.py").read()
print("ok" if before == before else "out of date")
