# Index of each interface that a daemon of this package serves. The starter beside a daemon has it
# among its words, and the program that it would start; a daemon of another tswg starts another.
served() {
  for words in /proc/[0-9]*/cmdline; do
    cat "$words" 2>/dev/null | tr '\0' '\n' | awk '
      $0 == "tswgd-starter" { at = NR }
      at && NR == at + 2 { number = $0 }
      at && /^(\/usr\/sbin\/tswgd|\/usr\/lib\/tswg\/.*)$/ { isOurs = 1 }
      END { if (isOurs) print number }'
  done
}

# The name that the interface of an index has now.
name_of() {
  for file in /sys/class/net/*/ifindex; do
    [ "$(cat "$file" 2>/dev/null)" = "$1" ] || continue
    file=${file%/ifindex}
    echo "${file##*/}"
  done
}
