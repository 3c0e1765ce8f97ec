#!/bin/sh
# usage_test.sh SIMULATE: what it does not understand it refuses with status 2 and its usage, before it runs anything.
set -eu
refuses() {
  said=$1; shift
  status=0
  "$simulate" "$@" >out.$$ 2>err.$$ || status=$?
  err=$(cat err.$$); out=$(cat out.$$); rm -f out.$$ err.$$
  if [ $status != 2 ] || [ -n "$out" ] || ! echo "$err" | grep -qF -- "$said" || ! echo "$err" | grep -q '^usage: simulate'; then
    echo "simulate $*: status $status, said: $err"; exit 1
  fi
}
simulate=$1
refuses "unknown option '--seed'" --seed 3
refuses "unknown option '5'" 5
refuses "--seeds needs a value" --seeds
refuses "--seeds takes a number from 1, not '3x'" --seeds 3x
refuses "--seeds takes a number from 1, not '0'" --seeds 0
refuses "--seeds takes a number from 1, not ''" --seeds ''
refuses "--from takes a number, not '-1'" --from -1
refuses "--from takes a number, not '99999999999999999999999'" --seeds 1 --from 99999999999999999999999
refuses "no fault class is called 'stormy'" --class stormy
"$simulate" --seeds 1 --from 18 --class calm | grep -q '^calm  *1 schedules, 0 violations'
