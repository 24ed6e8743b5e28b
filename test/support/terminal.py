"""Runs a program on a terminal of its own, types when it is asked, and tells how it left the terminal.

Reads from standard input, in JSON: argv, cwd, env, and steps: pairs of a text to wait for and what to do then, which is to type a
text or to send a signal, {"signal": 15}. Writes to standard output, in JSON: output, status, signal, echo and canonical.
"""
import fcntl, json, os, pty, select, signal, sys, termios, time

TIMEOUT = 25
task = json.load(sys.stdin)
master, slave = pty.openpty()  # kept open here, so that the settings outlive the program
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    os.chdir(task["cwd"])
    os.execve(task["argv"][0], task["argv"], task["env"])

output = b""
steps = list(task["steps"])
seen = 0  # where the text of the last step ended
deadline = time.monotonic() + TIMEOUT
ended = None
while ended is None or select.select([master], [], [], 0)[0]:
    if time.monotonic() > deadline:
        os.kill(pid, signal.SIGKILL)
    if select.select([master], [], [], 0.05)[0]:
        output += os.read(master, 65536)
    if steps:
        at = output.find(steps[0][0].encode(), seen)
        if at != -1:
            text, action = steps.pop(0)
            seen = at + len(text.encode())
            if isinstance(action, str):
                time.sleep(0.05)  # the prompt stands a moment before the terminal is switched
                os.write(master, action.encode())
            else:
                time.sleep(0.05)
                os.kill(pid, action["signal"])
    if ended is None:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            ended = status

flags = termios.tcgetattr(slave)[3]
json.dump(
    {
        "output": output.decode(errors="replace"),
        "status": os.WEXITSTATUS(ended) if os.WIFEXITED(ended) else None,
        "signal": os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else None,
        "echo": bool(flags & termios.ECHO),
        "canonical": bool(flags & termios.ICANON),
    },
    sys.stdout,
)
