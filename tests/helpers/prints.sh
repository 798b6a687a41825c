#!/bin/sh
# prints.sh TEXT COMMAND...: whether a command ends well and has printed TEXT (case does not matter).  CTest's own check of output forgets the exit status.
text=$1
shift
out=$("$@") || { status=$?; printf '%s\n' "$out"; exit $status; }
printf '%s\n' "$out"
case $(printf '%s' "$out" | tr '[:upper:]' '[:lower:]') in
*"$text"*) ;;
*)
    echo "it has not printed: $text" >&2
    exit 1
    ;;
esac
