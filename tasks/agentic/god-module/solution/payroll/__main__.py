import sys

from payroll.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
