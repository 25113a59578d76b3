module sockerless.dev/agent

go 1.24
