"""What a real dockerd makes of `--change`: asked once, and asked again beside ours (`tests/clients`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Changes = tuple[str, ...]

MADE: Mapping[Changes, Mapping[str, Any]] = {
    ("CMD ls -l",): {"Cmd": ["/bin/sh", "-c", "ls -l"]},
    ('cmd ["ls","-l"]',): {"Cmd": ["ls", "-l"]},
    ("CMD [ls]",): {"Cmd": ["/bin/sh", "-c", "[ls]"]},
    ("CMD []",): {},
    ("CMD",): {"Cmd": ["/bin/sh", "-c"]},
    ('CMD ["a"] trailing',): {"Cmd": ["a"]},
    ('CMD ["a",]',): {"Cmd": ["/bin/sh", "-c", '["a",]']},
    ('CMD ["\\u0041\\n"]',): {"Cmd": ["A\n"]},
    ("CMD echo $HOME \\\n b",): {"Cmd": ["/bin/sh", "-c", "echo $HOME  b"]},
    ("CMD \"quoted\" 'x'",): {"Cmd": ["/bin/sh", "-c", "\"quoted\" 'x'"]},
    ("CMD -- x",): {"Cmd": ["/bin/sh", "-c", "x"]},
    ("CMD -x y",): {"Cmd": ["/bin/sh", "-c", "-x y"]},
    ("\tCMD\ttab  ",): {"Cmd": ["/bin/sh", "-c", "tab"]},
    ("# comment", "CMD x\n# another", ""): {"Cmd": ["/bin/sh", "-c", "x"]},
    ("CMD x \\\n# comment\n\n y",): {"Cmd": ["/bin/sh", "-c", "x  y"]},
    ("CMD a \\", "ENV b=c"): {"Cmd": ["/bin/sh", "-c", "a ENV b=c"]},
    ("ENTRYPOINT ls",): {"Entrypoint": ["/bin/sh", "-c", "ls"]},
    ('ENTRYPOINT ["a", "b"]',): {"Entrypoint": ["a", "b"]},
    ("ENTRYPOINT []",): {},
    ("ENTRYPOINT",): {},
    ("CMD b", 'ENTRYPOINT ["a"]'): {"Cmd": ["/bin/sh", "-c", "b"], "Entrypoint": ["a"]},
    ("ENV a=b c=\"d e\" f='g h' i=j\\ k",): {"Env": ["a=b", "c=d e", "f=g h", "i=j k"]},
    ("ENV a   b  c",): {"Env": ["a=b  c"]},
    ("ENV a=b a=c",): {"Env": ["a=c"]},
    ("ENV a=",): {"Env": ["a="]},
    ("ENV a=b \\\n    c=d",): {"Env": ["a=b", "c=d"]},
    ('ENV "A B"=c',): {"Env": ["A B=c"]},
    ("ENV A=é☃",): {"Env": ["A=é☃"]},
    ('ENV A "quoted value" more',): {"Env": ["A=quoted value more"]},
    ('ENV A="a\\nb" B=a\\nb C="a\\"b" D=\'a\\b\'',): {"Env": ["A=a\\nb", "B=anb", 'C=a"b', "D=a\\b"]},
    ("ENV A=1", "ENV A=2 B=$A"): {"Env": ["A=2", "B=1"]},
    ("ENV A=1", "ENV $A=2"): {"Env": ["A=1", "1=2"]},
    ("ENV A=1", "ENV B=$A C=${A} D=${X:-def} E=${A:+alt} F='$A' G=\"$A x\" H=\\$A"): {
        "Env": ["A=1", "B=1", "C=1", "D=def", "E=alt", "F=$A", "G=1 x", "H=$A"]
    },
    ("ENV A=$ B=$$ C=$1 D=a$",): {"Env": ["A=$", "B=", "C=", "D=a$"]},
    ("EXPOSE 80 443/TCP 53/udp 8080:81 127.0.0.1:1:82",): {
        "ExposedPorts": {"80/tcp": {}, "443/tcp": {}, "53/udp": {}, "81/tcp": {}, "82/tcp": {}}
    },
    ("EXPOSE 80-82/sctp",): {"ExposedPorts": {"80/sctp": {}, "81/sctp": {}, "82/sctp": {}}},
    ('ENV P="81 82"', "EXPOSE $P"): {"Env": ["P=81 82"], "ExposedPorts": {"81/tcp": {}, "82/tcp": {}}},
    ("EXPOSE $NOPE",): {},
    ('LABEL a=b "c d"="e f" g=\'h\'',): {"Labels": {"a": "b", "c d": "e f", "g": "h"}},
    ("LABEL a b",): {"Labels": {"a": "b"}},
    ("ENV X=y", "LABEL v=$X $X=1 'q$X'=2"): {"Env": ["X=y"], "Labels": {"v": "y", "y": "1", "q$X": "2"}},
    ('LABEL a="multi\\\n line"',): {"Labels": {"a": "multi line"}},
    ("ONBUILD RUN x", 'ONBUILD   cmd  ["x"]'): {"OnBuild": ["RUN x", 'cmd  ["x"]']},
    ("ONBUILD NONSENSE x",): {"OnBuild": ["NONSENSE x"]},
    ("ENV U=bob", "USER $U:1000"): {"Env": ["U=bob"], "User": "bob:1000"},
    ("USER a b",): {"User": "a b"},
    ("VOLUME /a /b",): {"Volumes": {"/a": {}, "/b": {}}},
    ('VOLUME ["/a", "/b c"]',): {"Volumes": {"/a": {}, "/b c": {}}},
    ("ENV V=/v", "VOLUME $V/x"): {"Env": ["V=/v"], "Volumes": {"/v/x": {}}},
    ("WORKDIR /a", "WORKDIR b/../c"): {"WorkingDir": "/a/c"},
    ("WORKDIR rel",): {"WorkingDir": "/rel"},
    ("WORKDIR /a/../b/.//c/",): {"WorkingDir": "/a/../b/.//c/"},
    ("HEALTHCHECK none",): {"Healthcheck": {"Test": ["NONE"]}},
    ("HEALTHCHECK CMD curl x",): {"Healthcheck": {"Test": ["CMD-SHELL", "curl x"]}},
    ('HEALTHCHECK --interval=1h30m --timeout="1.5s" --start-period=1m --retries=4 CMD ["a","b"]',): {
        "Healthcheck": {
            "Test": ["CMD", "a", "b"],
            "Interval": 5_400_000_000_000,
            "Timeout": 1_500_000_000,
            "StartPeriod": 60_000_000_000,
            "Retries": 4,
        }
    },
}
"""Changes to nothing → what is not empty of the configuration."""

REFUSED: Mapping[Changes, str] = {
    ("FROM x",): "from is not a valid change command",
    ("ENV a=b", "NONSENSE"): "nonsense is not a valid change command",
    ('CMD["a"]',): 'cmd["a"] is not a valid change command',
    ("# comment",): "file with no instructions",
    ("   ",): "file with no instructions",
    ('CMD ["ls", 5]',): "when using JSON array syntax, arrays must be comprised of strings only",
    ("CMD --flag x",): "Unknown flag: flag",
    ("ENV",): "ENV requires at least one argument",
    ("ENV a",): "ENV must have two arguments",
    ("ENV a", "FROM x"): "ENV must have two arguments",
    ("ENV =b",): "ENV names can not be blank",
    ("ENV a=b c",): 'Syntax error - can\'t find = in "c". Must be of the form: name=value',
    ("ENV A=${X:?msg}",): 'failed to process "${X:?msg}": X: msg',
    ("ENV A=${}",): 'failed to process "${}": syntax error: bad substitution',
    ('ENV A="open',): (
        'failed to process "\\"open": unexpected end of statement while looking for matching double-quote'
    ),
    ("ENV A='open",): (
        'failed to process "\'open": unexpected end of statement while looking for matching single-quote'
    ),
    ("EXPOSE",): "EXPOSE requires at least one argument",
    ("EXPOSE abc",): "Invalid containerPort: abc",
    ("EXPOSE 70000",): "Invalid containerPort: 70000",
    ("EXPOSE 82-80",): "Invalid containerPort: 82-80",
    ("EXPOSE 80/xyz",): "Invalid proto: xyz",
    ("LABEL a",): "LABEL must have two arguments",
    ("ONBUILD",): "ONBUILD requires at least one argument",
    ("ONBUILD ONBUILD RUN x",): "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
    ("ONBUILD from x",): "FROM isn't allowed as an ONBUILD trigger",
    ("ONBUILD ENV a",): "ENV must have two arguments",
    ("USER",): "USER requires exactly one argument",
    ("VOLUME",): "VOLUME requires at least one argument",
    ('VOLUME ["/a", ""]',): "VOLUME specified can not be an empty string",
    ("VOLUME $NOPE",): "VOLUME specified can not be an empty string",
    ("WORKDIR $NOPE",): "cannot normalize nothing",
    ("HEALTHCHECK",): "HEALTHCHECK requires at least one argument",
    ("HEALTHCHECK TEST x",): 'Unknown type "TEST" in HEALTHCHECK (try CMD)',
    ("HEALTHCHECK NONE x",): "HEALTHCHECK NONE takes no arguments",
    ("HEALTHCHECK CMD []",): "Missing command after HEALTHCHECK CMD",
    ("HEALTHCHECK --nope=5s CMD x",): "Unknown flag: nope",
    ("HEALTHCHECK --interval CMD x",): "Missing a value on flag: interval",
    ("HEALTHCHECK --interval=5s --interval=6s CMD x",): "Duplicate flag specified: interval",
    ("HEALTHCHECK --interval=1us CMD x",): 'Interval "interval" cannot be less than 1ms',
    ("HEALTHCHECK --retries=0 CMD x",): "--retries must be at least 1 (not 0)",
    ("HEALTHCHECK --retries=x CMD x",): 'strconv.ParseInt: parsing "x": invalid syntax',
}
"""Changes → what is said of them; large and small letters are alike."""
