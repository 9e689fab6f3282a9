# B wide on the street world, a control that the paper lacks: B with as many parameters as B + I + S keeps at test time, and a
# tenth more (2.34 M, 2.12 M). Against b_street: the width. RMSE / MAE 713 ± 9 / 173 ± 1 mm with the budget of
# docs/auxiliary_study.md, three seeds.
_base_ = './b_street.py'

model = dict(width=11)
