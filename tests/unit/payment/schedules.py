"""Runs several coroutines step by step, in every order in which their steps can fall.

Orders that lead to the same place are followed once: a place is what is stored, and what each coroutine
has been answered so far, for that decides all that it does next.
"""

from collections.abc import Callable, Coroutine, Hashable, Iterator
from dataclasses import dataclass
from typing import Any

Answer = object
Story = Coroutine[Any, Any, Answer]


@dataclass(frozen=True)
class Scene:
    """Fresh stories, each of which pauses before each of its steps."""

    stories: list[Story]
    last_answer: Callable[[], Hashable]
    """What the latest step was answered."""
    stored: Callable[[], Hashable]
    """All that the stories share."""


def every_schedule(start: Callable[[], Scene], largest_count: int) -> Iterator[list[Answer]]:
    """What the stories returned or raised, for each way that their steps can fall.

    AssertionError when there are more ways than `largest_count`, so that "every" is never silently less.
    """
    visited: set[Hashable] = set()
    choices: list[int] = []
    for _ in range(largest_count):
        run = _Run(start(), choices, visited)
        if not run.is_known:
            yield run.answers()
        choices = run.choices
        while choices and choices[-1] + 1 == run.options[len(choices) - 1]:
            choices.pop()
        if not choices:
            return
        choices[-1] += 1
    raise AssertionError(f"there are more than {largest_count} ways")


def one_schedule(scene: Scene, choices: list[int]) -> list[Answer]:
    """What the stories returned or raised when the steps fall as chosen; then the first one goes on."""
    return _Run(scene, choices, None).answers()


class _Run:
    """One way through a scene: the given choices, then always the first, until a visited place or the end."""

    def __init__(self, scene: Scene, choices: list[int], visited: set[Hashable] | None) -> None:
        self._running = dict(enumerate(scene.stories))
        self._answers: dict[int, Answer] = {}
        self.choices: list[int] = []
        self.options: list[int] = []
        self.is_known = False
        witnessed: list[list[Hashable]] = [[] for _ in scene.stories]
        for number in list(self._running):
            self._step(number)
        while self._running and not self.is_known:
            depth = len(self.choices)
            if visited is not None and depth >= len(choices):
                place = (scene.stored(), tuple(map(tuple, witnessed)))
                self.is_known = place in visited
                visited.add(place)
                if self.is_known:
                    break
            choice = choices[depth] % len(self._running) if depth < len(choices) else 0
            number = list(self._running)[choice]
            self.choices.append(choice)
            self.options.append(len(self._running))
            self._step(number)
            witnessed[number].append(scene.last_answer())
        for story in self._running.values():
            story.close()

    def answers(self) -> list[Answer]:
        """What each story returned or raised, in their order."""
        return [self._answers[number] for number in sorted(self._answers)]

    def _step(self, number: int) -> None:
        try:
            self._running[number].send(None)
        except StopIteration as end:
            self._answers[number] = end.value
        except Exception as raised:
            self._answers[number] = raised
        else:
            return
        del self._running[number]
