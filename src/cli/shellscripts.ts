/**
 * The completion scripts for bash, zsh and fish: `tswg completion` prints them, and packages install
 * them where each shell looks. Each asks `tswg --complete` with the words up to the cursor, and does
 * with the answer (completion.ts) what its shell wants done: a first line with what it is and what
 * is being typed, then each word and what it means.
 */

import { basename } from 'node:path';
import type { Environment } from '../sys/environment.ts';
import { isShell, type Shell } from './shells.ts';

/**
 * Readline replaces what stands after the last `:` or `=`, if these are among COMP_WORDBREAKS, so that
 * the part before it is cut from each word. Only of peers it shows what they are called: what a word
 * means would fill the screen. Where a name was typed and several peers are called so, the name is
 * what may grow; a single one becomes its key.
 */
const BASH = `# bash completion for tswg(8)
_tswg() {
  local IFS=$'\\n' kind typed text summary cut= name
  local breaks=\${COMP_WORDBREAKS//[!:=]/} current=\${COMP_WORDS[COMP_CWORD]}
  local -a lines
  COMPREPLY=()
  mapfile -t lines < <(tswg --complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  IFS=$'\\t' read -r kind typed <<<"\${lines[0]}"
  lines=("\${lines[@]:1}")
  if [[ $kind == files ]]; then
    compopt -o filenames
    COMPREPLY=($(compgen -f -- "$typed"))
    return
  fi
  [[ -n $breaks ]] && cut=\${typed%"\${typed##*[$breaks]}"}
  for text in "\${lines[@]}"; do
    summary=\${text#*$'\\t'} text=\${text%%$'\\t'*}
    text=\${text#"$cut"} name=
    if [[ $text =~ ^[A-Za-z0-9+/]{42,43}=$ && -n $summary ]]; then
      ((\${#lines[@]} > 1)) && name="  ($summary)"
      [[ $kind == names ]] && ((\${#lines[@]} > 1)) && name="  ($text)" text=$summary
    fi
    [[ $current == [\\"\\']* || $text != *[[:blank:]]* ]] || printf -v text %q "$text"
    COMPREPLY+=("$text$name")
  done
}
complete -o nosort -F _tswg tswg 2>/dev/null || complete -F _tswg tswg
`;

/** What is typed is not the beginning of a peer's key where it is that of its name: hence -U. */
const ZSH = `#compdef tswg
# zsh completion for tswg(8)
_tswg() {
  local kind line
  local -a lines texts pairs
  lines=("\${(@f)$(tswg --complete "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)}")
  kind=\${lines[1]%%$'\\t'*}
  shift lines
  if [[ $kind == files ]]; then
    _files
    return
  fi
  for line in "\${(@)lines}"; do
    texts+=("\${line%%$'\\t'*}")
    pairs+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  ((\${#texts})) || return 1
  if [[ $kind == names ]]; then
    ((\${#texts} > 1)) && compstate[insert]=menu
    compadd -U -l -d pairs -a texts
  else
    _describe -V tswg pairs
  fi
}
if [[ \${zsh_eval_context[-1]} == loadautofunc ]]; then
  _tswg "$@"
else
  compdef _tswg tswg
fi
`;

/** fish itself chooses among the words, by what they contain. */
const FISH = `# fish completion for tswg(8)
function __tswg_complete
    set -l words (commandline -opc)
    set -l lines (tswg --complete $words[2..-1] (commandline -ct) 2>/dev/null)
    if string match -q -- 'files*' $lines[1]
        __fish_complete_path (commandline -ct)
    else
        printf '%s\\n' $lines[2..-1]
    end
end
complete -c tswg -f -a '(__tswg_complete)'
`;

const SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

export function completionScript(shell: Shell): string {
  return SCRIPTS[shell];
}

/** The shell of who calls; bash unless it is known to be another. */
export function shellOf(env: Environment): Shell {
  const name = basename(env.SHELL ?? '');
  return isShell(name) ? name : 'bash';
}
