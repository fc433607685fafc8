"""Constants and units; native units are GeV and cm."""

cm: float
hbar_c: float
inverse_GeV2_in_pb: float
alpha: float
avogadro: float
pb_in_cm2: float
electron_mass: float
muon_mass: float
proton_mass: float
atomic_mass_unit: float
