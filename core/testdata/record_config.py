#!/usr/bin/env python3
"""Asks a real Consul what it makes of the sources of golden configuration cases, and writes it down.

    CONSUL_BIN=/path/to/consul core/testdata/record_config.py core/testdata/config/hcl.txt

Every `-- consul` block of the file is rewritten with what `consul validate` prints for the case's files;
cases without such a block are left alone. The `-- result` blocks are the test's: run it with UPDATE=1.

Builds of Consul before the move to go-viper/mapstructure word type errors in another way; `reword` turns
those into the words of 1.21.5, so that either build gives the same file.
"""
import os, re, subprocess, sys, tempfile


REWORD = [
    (r"\d+ error\(s\) decoding:", "decoding failed due to the following error(s):"),
    (r"^\* ('[^']*'):? (expected|source)", r"\1 \2"),
    (r"expected a map, got '(\w+)'", r'expected a map or struct, got "\1"'),
    (r"(unconvertible type '[^']*'), value: '.*'$", r"\1"),
    (r"^\* cannot parse ('[^']*'), (\S+) overflows uint$", r"\1 cannot parse value as 'uint64': \2 overflows uint"),
]


def reword(line):
    for old, new in REWORD:
        line = re.sub(old, new, line)
    return line


def answer(case):
    with tempfile.TemporaryDirectory() as directory:
        names = []
        for name, text in re.findall(r"^-- file (\S+)\n(.*?)(?=^-- )", case, re.S | re.M):
            with open(os.path.join(directory, name), "w", newline="") as f:
                f.write(text.removesuffix("\n"))
            names.append(name)
        run = subprocess.run([os.environ["CONSUL_BIN"], "validate", *names], cwd=directory, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = run.stdout.removeprefix("Config validation failed: ").split("\n")
    return "\n".join(reword(line) for line in lines if line.strip()) + "\n"


def main():
    for path in sys.argv[1:]:
        with open(path, newline="") as f:
            parts = re.split(r"(?=^== )", f.read(), flags=re.M)
        for i, part in enumerate(parts):
            if "\n-- consul\n" in part:
                head, rest = part.split("\n-- consul\n", 1)
                rest = rest[rest.index("-- result"):]
                parts[i] = f"{head}\n-- consul\n{answer(head + chr(10) + '-- ')}{rest}"
        with open(path, "w", newline="") as f:
            f.writelines(parts)


if __name__ == "__main__":
    main()
