"""Types of settings, with bounds that a machine can still hold."""

from typing import Annotated

from pydantic import Field

COUNT = 10**7  # samples, examples, steps
Count = Annotated[int, Field(ge=1, le=COUNT)]
CountOrZero = Annotated[int, Field(ge=0, le=COUNT)]
Iterations = Annotated[int, Field(ge=1, le=10**9)]
Width = Annotated[int, Field(ge=1, le=2**14)]  # units or channels of a layer
Depth = Annotated[int, Field(ge=1, le=1000)]  # layers
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Share = Annotated[float, Field(gt=0, lt=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Time = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0, le=1e12)]
Length = Annotated[float, Field(ge=0.005, le=0.288)]  # of a power-function average
Weight = Annotated[float, Field(ge=-1e6, le=1e6)]  # of guidance
NonNegative = Annotated[float, Field(ge=0, le=1e12)]
