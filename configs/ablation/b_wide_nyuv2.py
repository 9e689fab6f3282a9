# B wide, a control that the paper lacks: B with as many parameters as B + I + S keeps at test time (5.35 M against 5.42 M).
# Against b_nyuv2: width 20. Here: not trained; in small: docs/indoor_study.md.
_base_ = './b_nyuv2.py'

model = dict(width=20)
