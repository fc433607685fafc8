// Dark bremsstrahlung e Z -> e Z A': cross sections.
#ifndef NA64ROOT_DARK_BREM_HPP
#define NA64ROOT_DARK_BREM_HPP

#include <utility>
#include <vector>

#include "na64root/estimate.hpp"
#include "na64root/form_factor.hpp"
#include "na64root/random.hpp"

namespace na64root {

enum class Approximation {
    etl, // exact tree level, all angles; the default
    ww,  // Weizsaecker-Williams with the x- and angle-dependent minimal momentum transfer
    iww, // improved Weizsaecker-Williams: minimal momentum transfer (M^2/2E)^2
};

// Cross sections per atom in pb for a vector of mass `mass` (GeV) with coupling epsilon e, on electrons or
// positrons of `energy` (GeV). x = E_A'/E in [M/E, 1 - m_e/E], theta the laboratory angle of the A'.
//
// etl: spin-0 nucleus at rest, |amplitude|^2 averaged over the azimuth of the recoil in closed form;
// integrals over
//      log t, 1/sqrt(U) and log(1-x), U = -((p-k)^2 - m_e^2). Formulas: Liu, Miller, arXiv:1705.01633.
// ww, iww: Bjorken et al., arXiv:0906.0580, App. A, with the full form factor.
// Valid for masses from 1 MeV to 3 GeV and energies from 1 to 300 GeV; outside the amplitude's cancellations
// limit doubles. A closed channel gives 0. Throws std::domain_error for a mass or energy that is not positive
// and std::runtime_error when an integral did not converge.
class DarkBremsstrahlung {
  public:
    DarkBremsstrahlung(double mass, const Element &element, Approximation approximation = Approximation::etl,
                       double epsilon = 1.0);

    // With a form factor of one's own (limits, other nuclei); nuclear_mass in GeV.
    DarkBremsstrahlung(double mass, const FormFactor &form_factor, double nuclear_mass,
                       Approximation approximation, double epsilon);

    double mass() const { return mass_; }
    Approximation approximation() const { return approximation_; }

    // [M/E, 1 - m_e/E]; empty (first >= second) where the channel is closed.
    std::pair<double, double> x_range(double energy) const;

    // d2 sigma/dx dtheta in pb per radian.
    Estimate differential(double energy, double x, double theta) const;

    // dsigma/dx in pb.
    Estimate dsigma_dx(double energy, double x, double relative_tolerance = 1e-3) const;

    // Total cross section in pb, from x_min if it is above the kinematic limit.
    Estimate total(double energy, double relative_tolerance = 1e-3, double x_min = 0.0) const;

    // Mean of x.
    Estimate mean_x(double energy, double relative_tolerance = 1e-3) const;

    // The limits of U at x, and the density d2 sigma/dx dU in pb/GeV^2, on which sampling works.
    // U = E^2 x theta^2 + ... grows with the angle: theta = angle(energy, x, U).
    std::pair<double, double> u_range(double energy, double x) const;
    double density(double energy, double x, double u) const;
    double angle(double energy, double x, double u) const;

  private:
    struct Kinematics;
    Kinematics kinematics(double energy, double x) const;
    Estimate density_estimate(const Kinematics &kinematics, double u, double relative_tolerance) const;
    Estimate momentum_transfer_integral(const Kinematics &kinematics, double u,
                                        double relative_tolerance) const;
    double flux(double t_min, double relative_tolerance) const;
    Estimate x_integral(double energy, double relative_tolerance, double x_min, bool times_x) const;

    double mass_;
    FormFactor form_factor_;
    double nuclear_mass_;
    Approximation approximation_;
    double epsilon_;
};

// A sample of the production.
struct DarkBremSample {
    double x;     // E_A'/E
    double theta; // laboratory angle of the A', radian
};

// Samples (x, theta) at one energy from a table of the density over cells of y = -log(1-x) and of
// r = sqrt(U_min/U), in which it is smooth: an alias table chooses the cell, and within it the density is the
// bilinear one through the corners, inverted exactly (no rejection). Costs 4 uniforms a sample.
// Throws std::domain_error where the channel is closed.
class DarkBremSampler {
  public:
    DarkBremSampler(const DarkBremsstrahlung &cross_section, double energy, std::size_t x_cells = 192,
                    std::size_t angle_cells = 64);

    DarkBremSample operator()(Random &random) const;

    // The table's own integral (pb), which meets DarkBremsstrahlung::total within its resolution, 0.3 %
    // (0.7 % close to threshold).
    double cross_section() const { return total_; }

  private:
    double corner(std::size_t i, std::size_t j) const { return corners_[i * (angle_cells_ + 1) + j]; }

    DarkBremsstrahlung formula_;
    double energy_;
    std::size_t x_cells_, angle_cells_;
    double y_low_, y_step_;
    double total_ = 0.0;
    std::vector<double> corners_;         // (x_cells + 1) x (angle_cells + 1)
    std::vector<double> alias_threshold_; // of each cell
    std::vector<std::size_t> alias_;
};

} // namespace na64root

#endif
