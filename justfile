# `just` and every tool here come with the README's test command, in .venv-dev.
export PATH := justfile_directory() / ".venv-dev" / "bin" + ":" + env("PATH")

# What there is to run
default:
    @just --list

# Lint, format, types, who may import whom
check:
    ruff check
    ruff format --check
    mypy
    lint-imports

# All tests, in a random order
test *arguments:
    python -m pytest {{ arguments }}

# Five runs in five random orders
soak runs="5":
    for run in $(seq {{ runs }}); do python -m pytest -q || exit; done

# Speed and memory, printed
bench *arguments:
    python -m tests.bench {{ arguments }}

# The daemon on an embedded AWS
sandbox *arguments:
    sockerless-backend-ecs sandbox {{ arguments }}

# A guided run of three containers
demo:
    sockerless-backend-ecs demo

# The README's commands in minimal root file systems (root, debootstrap and a package index needed)
prove *scenarios:
    tests/clean/prove {{ scenarios }}
