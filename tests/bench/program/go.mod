module sockerless/bench/program

go 1.22
