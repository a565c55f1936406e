"""References from the structure of an objective to functions of the user."""

import types
import weakref


class FunctionReference:
    """A weak reference to a user's callable, compared by identity, so that caches do not keep its closure alive."""

    def __init__(self, function):
        self._identity = id(function)
        try:
            if isinstance(function, types.MethodType):  # each attribute access makes a new method object
                self._identity = hash((id(function.__self__), id(function.__func__)))
                self._reference = weakref.WeakMethod(function)
            else:
                self._reference = weakref.ref(function)
        except TypeError:  # some built-in callables have no weak references
            self._reference = lambda: function

    @property
    def loops_over_batch(self) -> bool:
        return type(self()).__module__.startswith("tf_keras_vis")

    def __call__(self):
        return self._reference()

    def __hash__(self):
        return self._identity

    def __eq__(self, other):
        function, other_function = self(), other() if isinstance(other, FunctionReference) else None
        if isinstance(function, types.MethodType) and isinstance(other_function, types.MethodType):
            return function.__self__ is other_function.__self__ and function.__func__ is other_function.__func__
        return function is not None and function is other_function
