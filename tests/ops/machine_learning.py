"""Operations of ai.onnx.ml."""
import numpy as np
from cases import Family, f32

family = Family()

for dtype in "float32", "float64", "int64", "int32":
    for rows in 1, 7:
        for tag, offset, scale in ("each", [0.5, -1.0, 2.0], [2.0, 0.25, -3.0]), ("one", [0.5], [2.0]):
            family.add("ai.onnx.ml::Scaler", (f32(rows, 3) * 5).astype(dtype), name=f"{dtype}_{rows}_{tag}",
                       offset=offset, scale=scale)
x = f32(5, 3)
x[1, 2] = np.nan
family.add("ai.onnx.ml::Scaler", x, name="nan", offset=[0.1, 0.2, 0.3], scale=[1.5, 2.5, 3.5])
