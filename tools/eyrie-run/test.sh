#!/bin/sh
# test.sh EYRIE_RUN TEST_MODULE FOLDER: runs, writes, reads, times and fails as it should.
run=$1 folder=$3/test
rm -rf "$folder" && mkdir -p "$folder" && "$2" "$folder/m.eyr" || exit 1
failures=0
# expect CODE TEXT COMMAND...: exit code and a part of what is printed
expect() {
  code=$1 text=$2; shift 2
  output=$("$@" 2>&1); got=$?
  case $got:$output in
    $code:*"$text"*) ;;
    *) echo "FAILED: $*: exit code $got, expected $code and '$text':"; echo "$output"; failures=1 ;;
  esac
}
cd "$folder" || exit 1
expect 0 "y: 1x8xf32 = 3 6 9 12 15 18 21 24" "$run" run m.eyr --input a=1x8xf32=1 --input b=1x8xf32=2
expect 0 "" "$run" run m.eyr --input a=1x8xf32=1 --input=b=1x8xf32=2 --output y=@y.npy --threads 2
expect 0 "= 6 24 54" "$run" run m.eyr --input a=@y.npy --input b=@y.npy --verify
expect 0 '"threads": 2' "$run" bench m.eyr --min-time 0.01 --threads 2 --json
expect 0 "median" "$run" bench m.eyr --min-time 0.01 --input a=5x8xf32=1 --input b=5x8xf32=1
expect 0 "Usage" "$run" --help
expect 0 "eyrie-run " "$run" --version
expect 2 "expected run or bench" "$run"
expect 2 "no module" "$run" run
expect 2 "unknown option" "$run" run m.eyr --nonsense
expect 2 "needs a value" "$run" run m.eyr --input
expect 2 "input 'b' is missing" "$run" run m.eyr --input a=1x8xf32=1
expect 2 "no input named" "$run" run m.eyr --input c=1x8xf32=1
expect 2 "no element type 'f33'" "$run" run m.eyr --input a=1x8xf33=1
expect 2 "not a number" "$run" run m.eyr --threads many
expect 1 "expected nx8xf32, got 1x7xf32" "$run" run m.eyr --input a=1x7xf32=1 --input b=1x8xf32=2
expect 1 "no function 'f'" "$run" run m.eyr --function f
expect 1 "cannot open" "$run" run none.eyr
expect 1 "is a directory" "$run" run .
expect 1 "not an .npy file" "$run" run m.eyr --input a=@m.eyr --input b=1x8xf32=1
expect 1 "not a file" "$run" run m.eyr --input a=@none.npy --input b=1x8xf32=1
expect 1 "cannot be written" "$run" run m.eyr --input a=1x8xf32=1 --input b=1x8xf32=2 --output y=@/dev/full
expect 0 "" "$run" run m.eyr --input a=1x8xf32=1 --input b=1x8xf32=2 --save-state s --output y=@y.npy
expect 0 "y: 1x8" "$run" run m.eyr --input a=1x8xf32=1 --input b=1x8xf32=2 --load-state s
expect 1 "m.eyr: " "$run" run m.eyr --input a=1x8xf32=1 --input b=1x8xf32=2 --load-state m.eyr
expect 1 "not a file" "$run" run m.eyr --input a=1x8xf32=1 --input b=1x8xf32=2 --load-state none
head -c 100 m.eyr > cut.eyr
expect 1 "cut off" "$run" run cut.eyr
[ -z "$(ls | grep part)" ] || { echo "FAILED: a partial file was left"; failures=1; }
exit $failures
