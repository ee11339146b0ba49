"""The methods of a client that are about one agent, without naming it each time."""

from __future__ import annotations

import functools
from typing import Any, Callable, Generic, TypeVar, overload

from typing_extensions import Concatenate, ParamSpec, Self

P = ParamSpec("P")
R = TypeVar("R")


class AboutAgent(Generic[P, R]):
    """A method of a client whose first parameter is the agent, which is filled in."""

    def __init__(self, method: Callable[Concatenate[Any, str, P], R]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, of: None, owner: object = None) -> Self: ...

    @overload
    def __get__(self, of: BaseAgent, owner: object = None) -> Callable[P, R]: ...

    def __get__(self, of: BaseAgent | None, owner: object = None) -> Self | Callable[P, R]:
        if of is None:
            return self  # as help() looks at a class
        made = functools.partial(self._method, of._client, of.agent_id)  # noqa: SLF001
        made.__doc__ = self.__doc__
        return made


class BaseAgent:
    """One agent of a client's namespace."""

    #: Its name.
    agent_id: str

    def __init__(self, client: Any, agent_id: str) -> None:
        """Made by ``client.agent``."""
        self._client, self.agent_id = client, agent_id

    @property
    def namespace(self) -> str:
        """The namespace that it is in."""
        return str(self._client.namespace)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.agent_id!r} of {self._client!r}>"
